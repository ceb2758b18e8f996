// SimulatedCommand.swift - a command that a consumer started: a process group of its own, which may outlive it.

internal import History
internal import SpoolJobs
internal import SpoolThreads

/// What the command of a job does, told by its body.
enum Fate: UInt8, CaseIterable {
    case succeeds, fails, failsOnce, killsConsumer, hangs, ignoresSignals
}

/// A command that runs until it has ended or is killed.
final class SimulatedCommand {
    let claim: Claim
    let number: Int64
    private unowned let world: World
    private(set) var isOver = false
    /// Set when it ended by itself.
    private(set) var succeeded: Bool?
    /// It ended as every process of its worker was told to end.
    private(set) var wasToldToEnd = false
    /// Told when it ends; a consumer that is stopped or dead does not listen.
    var onEnd: (() throws -> Void)?

    init(_ claim: Claim, _ number: Int64, _ world: World) {
        self.claim = claim
        self.number = number
        self.world = world
        world.judge.chronicle.run(.get, of: claim, number: number)
    }

    /// None of it runs any more.
    func end() {
        guard !isOver else { return }
        isOver = true
        world.commands[number] = nil
        world.judge.chronicle.run(.back, of: claim, number: number)
    }

    func finish(_ succeeded: Bool) throws {
        guard !isOver else { return }
        self.succeeded = succeeded
        end()
        try onEnd?()
    }

    /// TERM that was sent to every process.
    func hearEverybodyTold(_ fate: Fate) throws {
        guard !isOver, fate != .ignoresSignals else { return }
        wasToldToEnd = true
        try finish(false)
    }

    /// A signal that it may ignore.
    func terminate(_ fate: Fate) {
        guard fate != .ignoresSignals else { return }
        world.after(300_000) { try self.finish(false) }
    }

    func kill() throws { try finish(false) }
}
