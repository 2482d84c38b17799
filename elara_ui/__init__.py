"""What people see and do: the page, the command line and the use-cases beneath them."""
