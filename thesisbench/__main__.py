"""`python -m thesisbench` is the console command."""

from thesisbench.cli import main

if __name__ == "__main__":
    main()
