module homeostat.dev/bench/rivals

go 1.25
