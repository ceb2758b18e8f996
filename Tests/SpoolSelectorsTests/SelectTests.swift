// SelectTests.swift - waiting in every selector: what is told, when it ends, and what ends it early.

import CSpool
import Glibc
import SpoolSelectors
import SpoolThreads
import Synchronization
import Testing

extension SelectorSuite {
    @Suite("tells what is ready") struct Ready {
        @Test(
            "cSEL11: a writable and an unreadable end: the write event alone",
            arguments: Kind.allCases)
        func oneOfTwo(_ kind: Kind) throws {
            let (selector, pair) = (try kind.make(), try Pair())
            try selector.register(pair.ours, .read)
            try selector.register(pair.theirs, .write)
            #expect(try selector.look() == [pair.theirs: .write])
            pair.send()
            #expect(try selector.look() == [pair.ours: .read, pair.theirs: .write])
            #expect(try selector.look().count == 2, "level-triggered: told again")
            pair.receive()
            #expect(try selector.look() == [pair.theirs: .write])
        }

        @Test("cSEL12: both events of one descriptor come in one call", arguments: Kind.allCases)
        func both(_ kind: Kind) throws {
            let (selector, pair) = (try kind.make(), try Pair())
            try selector.register(pair.ours, [.read, .write])
            #expect(try selector.look() == [pair.ours: .write])
            pair.send()
            #expect(try selector.look() == [pair.ours: [.read, .write]])
            pair.fill()
            #expect(try selector.look() == [pair.ours: .read])
        }

        @Test(
            "an end that was half closed, or broken, is ready for what was asked",
            arguments: Kind.allCases)
        func ended(_ kind: Kind) throws {
            let (selector, pair) = (try kind.make(), try Pair())
            try selector.register(pair.ours, .read)
            shutdown(pair.theirs, Int32(SHUT_WR))
            #expect(try selector.look() == [pair.ours: .read])
            #expect(pair.receive() == 0)
            var pipe: [Int32] = [0, 0]
            try #require(spool_pipe(&pipe) == 0)
            defer { Glibc.close(pipe[1]) }
            try selector.unregister(pair.ours)
            try selector.register(pipe[1], .write)
            Glibc.close(pipe[0])
            #expect(try selector.look() == [pipe[1]: .write])
        }

        @Test(
            "cSEL20: thousands that are ready are told in one call, fairly",
            arguments: [Kind.epoll, .poll])
        func thousands(_ kind: Kind) throws {
            let selector = try kind.make()
            let count = min(10_000, Limits.descriptors / 4)
            let descriptors = (0..<count).map { _ in eventfd(0, Int32(EFD_CLOEXEC)) }
            defer { for descriptor in descriptors { Glibc.close(descriptor) } }
            for (token, descriptor) in descriptors.enumerated() {
                try selector.register(descriptor, .write, token: token)
            }
            for _ in 0..<2 {
                let told = Set(try selector.select(timeout: .zero).map(\.key.token))
                #expect(told.count == count)
            }
        }

        @Test("cSEL20: select(2) ends at 1,024, and says so")
        func selectEnds() throws {
            let (selector, pair) = (try SelectSelector(), try Pair())
            let high = fcntl(pair.ours, F_DUPFD_CLOEXEC, 1024)
            guard high >= 0 else { return }  // the process may not open so many
            defer { Glibc.close(high) }
            let error = #expect(throws: SpoolError.self) { try selector.register(high, .read) }
            #expect(error?.code == "bad_input" && error?.message.contains("too high") == true)
            #expect(try selector.getMap() == [:])
        }

        @Test(
            "what the body unregisters is not told, nor is old news told of a new file with its number"
        )
        func stale() throws {
            for kind in Kind.allCases {
                let selector = try kind.make()
                let (pairs, quiet) = ([try Pair(), try Pair()], try Pair())
                for pair in pairs {
                    pair.send()
                    try selector.register(pair.ours, .read)
                }
                let told = try selector.select(until: .never) { (key, _) throws(SpoolError) in
                    let other = pairs.first { $0.ours != key.descriptor }?.ours ?? -1
                    try selector.unregister(other)
                    dup2(quiet.ours, other)
                    try selector.register(other, .read)
                }
                #expect(told == 1)
            }
        }

        @Test(
            "what the body throws ends the select; the rest is told by the next",
            arguments: Kind.allCases)
        func bodyThrows(_ kind: Kind) throws {
            let (selector, pair) = (try kind.make(), try Pair())
            try selector.register(pair.ours, .write)
            try selector.register(pair.theirs, .write)
            #expect(throws: SpoolError.empty) {
                try selector.select(until: .never) { (_, _) throws(SpoolError) in throw .empty }
            }
            #expect(try selector.look().count == 2)
        }

        @Test("the body may close the selector, or select again", arguments: Kind.allCases)
        func bodyCloses(_ kind: Kind) throws {
            let (selector, pair) = (try kind.make(), try Pair())
            try selector.register(pair.ours, .write)
            try selector.register(pair.theirs, .write)
            let told = try selector.select(until: .never) { (_, _) throws(SpoolError) in
                let again = try selector.select(timeout: .zero).count
                selector.close()
                if again != 2 { throw .empty }
            }
            #expect(told == 1)
        }
    }

    @Suite("waits") struct Waits {
        @Test("cSEL16, cSEL23: with nothing registered it gives nothing, and keeps the limit")
        func empty() throws {
            for kind in Kind.allCases {
                let selector = try kind.make()
                #expect(try selector.select(timeout: .zero).isEmpty)
                let deadline = Deadline(after: .milliseconds(30))
                #expect(try selector.select(timeout: .milliseconds(30)).isEmpty)
                #expect(deadline.isPast)
            }
        }

        @Test(
            "cSEL17: zero and less only looks; it does not return before its limit",
            arguments: Kind.allCases)
        func limits(_ kind: Kind) throws {
            let (selector, pair) = (try kind.make(), try Pair())
            try selector.register(pair.ours, .read)
            for timeout: Duration in [.zero, .seconds(-1), .seconds(Int64.min)] {
                #expect(try selector.select(timeout: timeout).isEmpty)
            }
            let deadline = Deadline(after: .milliseconds(50))
            #expect(try selector.select(timeout: .milliseconds(50)).isEmpty)
            #expect(deadline.isPast)
            #expect(throws: SpoolError.self) { try selector.select(timeout: .seconds(Int64.max)) }
            pair.send()
            for timeout: Duration? in [nil, Deadline.longestTimeout, .nanoseconds(1), .seconds(-1)]
            {
                #expect(try selector.select(timeout: timeout).count == 1)
            }
        }

        @Test(
            "cSEL18: a signal that is read as a descriptor ends the wait", arguments: Kind.allCases)
        func signalDescriptor(_ kind: Kind) throws {
            let call = try Call {
                let selector = try kind.make()
                let signals = spool_signal_descriptor([SIGWINCH], 1)
                defer { Glibc.close(signals) }
                try selector.register(signals, .read, token: 9)
                pthread_kill(pthread_self(), SIGWINCH)
                return try selector.select().map(\.key.token)
            }
            #expect(try call.value() == [9])
        }

        @Test(
            "cSEL19: a signal whose handler returns does not end the wait", arguments: Kind.allCases
        )
        func interrupted(_ kind: Kind) throws {
            let (selector, pair) = (try kind.make(), try Pair())
            try selector.register(pair.ours, .read)
            let before = Signals.install()
            let deadline = Deadline(after: .milliseconds(60))
            let short = try Call {
                Signals.admit()
                return try selector.select(timeout: .milliseconds(60)).count
            }
            try Self.strike(short, until: { false })
            #expect(try short.value() == 0)
            #expect(deadline.isPast)
            let long = try Call {
                Signals.admit()
                return try selector.select().count
            }
            try Self.strike(long, until: { Signals.count.load(ordering: .relaxed) >= before + 8 })
            #expect(!long.isOver)
            pair.send()
            #expect(try long.value() == 1)
        }

        private static func strike(_ call: Call<Int>, until isEnough: () -> Bool) throws {
            try Until.true("the signals do not arrive") {
                guard !isEnough(), !call.isOver else { return true }
                call.signal(SIGURG)
                return false
            }
        }

        @Test(
            "what becomes ready ends the wait, also from another thread", arguments: Kind.allCases)
        func woken(_ kind: Kind) throws {
            let (selector, pair) = (try kind.make(), try Pair())
            try selector.register(pair.ours, .read, token: 4)
            let call = try Call { try selector.select().map(\.key.token) }
            try call.untilAsleep()
            pair.send()
            #expect(try call.value() == [4])
        }

        @Test(
            "register, modify and unregister reach a wait that has begun", arguments: Kind.allCases)
        func changed(_ kind: Kind) throws {
            let (selector, pair) = (try kind.make(), try Pair())
            pair.send()
            let call = try Call { try selector.select().map(\.key.token) }
            try call.untilAsleep()
            try selector.register(pair.ours, .read, token: 6)
            #expect(try call.value() == [6])
            pair.receive()
            pair.fill()
            let second = try Call { try selector.select().map(\.events) }
            try second.untilAsleep()
            pair.send()
            #expect(try second.value() == [.read])
            try selector.modify(pair.ours, .write)
            let third = try Call { try selector.select().map(\.events) }
            try third.untilAsleep()
            try selector.modify(pair.ours, .read)
            #expect(try third.value() == [.read])
            try selector.modify(pair.ours, .write)
            let fourth = try Call { try selector.select().map(\.key.token) }
            try fourth.untilAsleep()
            try selector.unregister(pair.ours)
            #expect(!fourth.isOver)
            selector.close()
            #expect(throws: SpoolError.closed("selector")) { try fourth.value() }
        }

        @Test(
            "cSEL8: closed under a waiting select, it ends that wait with closed",
            arguments: Kind.allCases)
        func closedUnderWait(_ kind: Kind) throws {
            for _ in 0..<100 {
                let (selector, pair) = (try kind.make(), try Pair())
                try selector.register(pair.ours, .read)
                let call = try Call { try selector.select().count }
                try call.untilAsleep()
                selector.close()
                #expect(throws: SpoolError.closed("selector")) { try call.value() }
            }
        }
    }
}

/// A handler that returns: all it does is count.
private enum Signals {
    static let count = Atomic(0)

    /// Lets SIGURG reach this thread: one that a pool's thread starts is born deaf.
    static func admit() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGURG)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }

    /// Handles SIGURG, without restarting calls, from now on. Returns how many came before.
    static func install() -> Int {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in
            Signals.count.wrappingAdd(1, ordering: .relaxed)
        }
        sigaction(SIGURG, &action, nil)
        return count.load(ordering: .relaxed)
    }
}
