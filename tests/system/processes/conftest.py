"""What end-to-end tests share: the program in a process of its own, on a copy of the tree."""
