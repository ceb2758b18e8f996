// Completions.swift - `spool completions`: what a shell needs to complete commands and options.

internal import ArgumentParser
internal import SpoolThreads

struct Completions: SpoolSubcommand {
    static let configuration = CommandConfiguration(
        abstract: "Print completions for a shell.",
        discussion: """
              spool completions bash > ~/.local/share/bash-completion/completions/spool
              spool completions zsh > ~/.zfunc/_spool
              spool completions fish > ~/.config/fish/completions/spool.fish
            """)

    @OptionGroup var global: GlobalOptions
    @Argument(help: "bash, zsh or fish.", completion: .list(["bash", "zsh", "fish"]))
    var shell: String

    func perform(on screen: Screen) throws(SpoolError) -> Int32 {
        guard !screen.settings.isJSON else {
            throw .usage("completions are a script for a shell; there is no JSON of them.")
        }
        let shells: [String: CompletionShell] = ["bash": .bash, "zsh": .zsh, "fish": .fish]
        guard let known = shells[shell] else {
            throw .usage(
                "completions are for bash, zsh and fish; got '\(shell)'."
                    + Suggestion.sentence(for: shell, among: shells.keys.sorted()))
        }
        try screen.line(Spool.completionScript(for: known))
        return 0
    }
}
