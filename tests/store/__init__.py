"""The store on real files, with real processes and real trouble."""
