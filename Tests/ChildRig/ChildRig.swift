// ChildRig.swift - a program that makes children, for tests: one case each time it runs.
//
//     ChildRig CASE [METHOD]
//
// A test has many threads and cannot fork; so each case runs in a process of its own. It checks what it claims, and
// ends with status 0 when all of it is true.

import Glibc
import SpoolProcesses
import SpoolThreads

/// What a case does, with children of a method.
typealias Case = @Sendable (StartMethod) throws -> Void

/// What a case found to be false.
struct Untrue: Error, CustomStringConvertible {
    let description: String
}

func check(_ holds: Bool, _ what: String, line: Int = #line) throws {
    if !holds { throw Untrue(description: "line \(line): \(what)") }
}

/// Checks that `body` throws, and gives its error.
func expectError(_ line: Int = #line, _ body: () throws -> Void) throws -> SpoolError {
    do {
        try body()
    } catch let error as SpoolError {
        return error
    }
    throw Untrue(description: "line \(line): nothing was thrown")
}

@main
struct ChildRig {
    static let cases: [String: Case] = life.merging(pipes) { one, _ in one }
        .merging(relatives) { one, _ in one }
        .merging(sharing) { one, _ in one }
        .merging(pools.map { ("pool-" + $0, $1) }) { one, _ in one }
        .merging(connectionEdges) { one, _ in one }
        .merging(childEdges) { one, _ in one }
        .merging(poolEdges.map { ("pool-edge-" + $0, $1) }) { one, _ in one }
        .merging(poolWaits.map { ("pool-wait-" + $0, $1) }) { one, _ in one }

    static func main() throws {
        ChildProcess.serveIfAsked(
            work, count, sleeper, talker, fail, echo, exits, passOn, family, inspect, server, noise,
            writer, poller, nag, slowEcho, call,
            square, whoami, gate, fragile, troubled, connected, setUp, environment, speak,
            longText, longError, poolInside, partner, leaveWork, appending)
        let words = CommandLine.arguments
        let method = words.count > 2 ? StartMethod(rawValue: words[2]) : .forkServer
        guard words.count > 1, let body = cases[words[1]], let method else {
            throw SpoolError.usage("ChildRig CASE [METHOD]")
        }
        try body(method)
    }
}

/// A child of any method that runs an entry, started.
func started<Input, Output>(
    _ entry: ChildEntry<Input, Output>, _ input: Input, _ method: StartMethod, name: String? = nil,
    daemon: Bool? = nil
) throws -> ChildProcess {
    let child = ChildProcess(entry, input, name: name, daemon: daemon, method: method)
    try child.start()
    return child
}
