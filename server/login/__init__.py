"""Who may use this server: the browser login, its sessions, and the clock of their consent.

`desk` tells the story, `attempt` is one login under way, `budget` how many may end in a minute,
`known` the browsers that no stranger keeps out, `store` its tables, `watch` the six months;
`failures` are what pages say, and `diagnosis` finds the one for an error of Spotify's.
"""
