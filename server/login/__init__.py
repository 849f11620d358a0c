"""Who may use this server: the browser login, its sessions, and the clock of their consent."""
