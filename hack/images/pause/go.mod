module homeostat.dev/pause

go 1.24.0
