"""`python -m gradscope.workbench`, as the dashboard starts it."""

from gradscope.workbench.serve import main

if __name__ == "__main__":
    main()
