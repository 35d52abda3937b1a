"""The command line: what one asks from a shell, each command a module that is imported when it is asked for."""
