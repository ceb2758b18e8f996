// PutOptions.swift - the options of `put` and `run`: one table for the parser by hand.
//
// Put.swift declares the same options again for help and completions; a test compares the two.

/// One option of `put`.
enum PutOption: String, CaseIterable {
    case file, json, quiet, verbose, color
    case queue, name, shell, kind, body, each, null, ndjson, proceed = "continue"
    case priority, delay, at, retries, backoff, timeout, limit, cwd, env
    case cleanEnvironment = "clean-env"
    case wait, ids, dryRun = "dry-run", detach

    var long: String? { self == .shell || self == .null ? nil : "--" + rawValue }

    var short: Character? {
        switch self {
        case .queue: "q"
        case .name: "n"
        case .shell: "c"
        case .kind: "k"
        case .null: "0"
        case .wait: "w"
        case .verbose: "v"
        case .detach: "d"
        default: nil
        }
    }

    var takesValue: Bool {
        switch self {
        case .json, .quiet, .verbose, .each, .null, .proceed, .cleanEnvironment, .wait, .ids,
            .dryRun, .detach:
            false
        case .file, .color, .queue, .name, .shell, .kind, .body, .ndjson, .priority, .delay, .at,
            .retries, .backoff, .timeout, .limit, .cwd, .env:
            true
        }
    }

    /// What the errors call it.
    var shown: String { long ?? short.map { "-\($0)" } ?? rawValue }

    static let ofPut = Set(allCases).subtracting([.detach])
    static let ofRun: Set<PutOption> = [
        .file, .json, .quiet, .verbose, .color, .queue, .name, .shell, .priority, .timeout, .limit,
        .cwd,
        .env, .cleanEnvironment, .detach,
    ]
}
