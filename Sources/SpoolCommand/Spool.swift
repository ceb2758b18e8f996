import ArgumentParser

@main struct Spool: ParsableCommand {}
