workers = 7
