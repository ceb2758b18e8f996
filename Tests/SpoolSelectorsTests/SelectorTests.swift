// SelectorTests.swift - what every selector does, in one text (conformance section cSEL).

import Glibc
import SpoolSelectors
import SpoolThreads
import Testing

/// One after the other: select(2) has room for low descriptors only, and some tests open thousands.
@Suite("A selector", .serialized, .timeLimit(.minutes(10))) enum SelectorSuite {}

extension SelectorSuite {
    @Suite("keeps what is registered") struct Registered {
        @Test("cSEL1: register returns the key", arguments: Kind.allCases)
        func register(_ kind: Kind) throws {
            let (selector, pair) = (try kind.make(), try Pair())
            let key = try selector.register(pair.ours, .read, token: 5)
            #expect((key.descriptor, key.events, key.token) == (pair.ours, .read, 5))
            #expect(try selector.getKey(pair.ours) == key)
        }

        @Test("cSEL1: bad events and descriptors, and the same again, are refused")
        func refuses() throws {
            for kind in Kind.allCases {
                let (selector, pair) = (try kind.make(), try Pair())
                let key = try selector.register(pair.ours, .read, token: 1)
                for events: Events in [
                    [], .edge, .oneShot, Events(rawValue: 64), [.read, .init(rawValue: 16)],
                ] {
                    #expect(throws: SpoolError.self) { try selector.register(pair.theirs, events) }
                    #expect(throws: SpoolError.self) { try selector.modify(pair.ours, events) }
                }
                for descriptor: Int32 in [-1, .min, .max] {
                    #expect(throws: SpoolError.self) { try selector.register(descriptor, .read) }
                }
                #expect(
                    throws: SpoolError.badInput(
                        "descriptor \(pair.ours) is registered already.",
                        hint: "Change what it is watched for with modify.")
                ) { try selector.register(pair.ours, .write) }
                #expect(try selector.getMap() == [pair.ours: key])
            }
        }

        @Test(
            "cSEL1: poll and select are level-triggered, and say so",
            arguments: [Kind.poll, .select])
        func levelOnly(_ kind: Kind) throws {
            let (selector, pair) = (try kind.make(), try Pair())
            #expect(throws: SpoolError.self) { try selector.register(pair.ours, [.read, .edge]) }
            #expect(throws: SpoolError.self) {
                try selector.register(pair.ours, [.read, .oneShot])
            }
            #expect(try selector.getMap().isEmpty)
        }

        @Test("cSEL2: unregister works once", arguments: Kind.allCases)
        func unregister(_ kind: Kind) throws {
            let (selector, pair) = (try kind.make(), try Pair())
            let key = try selector.register(pair.ours, .write, token: 3)
            #expect(try selector.unregister(pair.ours) == key)
            let unknown = SpoolError.badInput("descriptor \(pair.ours) is not registered.")
            #expect(throws: unknown) { try selector.unregister(pair.ours) }
            #expect(throws: unknown) { try selector.getKey(pair.ours) }
            #expect(throws: unknown) { try selector.modify(pair.ours, .read) }
            #expect(try selector.look() == [:])
        }

        @Test("cSEL4, cSEL5: a closed descriptor can be unregistered, its number reused or not")
        func closedBefore() throws {
            for kind in Kind.allCases {
                let selector = try kind.make()
                let (other, number) = (try Pair(), try Pair().ours)
                // The number is free now: dup2 gives it to a file that is ready for writing.
                try #require(dup2(other.ours, number) == number)
                try selector.register(number, .read, token: 1)
                Glibc.close(number)
                #expect(try selector.unregister(number).token == 1)
                try #require(dup2(other.ours, number) == number)
                try selector.register(number, .read, token: 2)
                Glibc.close(number)
                try #require(dup2(other.theirs, number) == number)
                #expect(try selector.unregister(number).token == 2)
                try selector.register(number, .write, token: 3)
                #expect(try selector.look() == [number: .write])
                try selector.unregister(number)
                Glibc.close(number)
            }
        }

        @Test(
            "cSEL6: modify changes events and token, and keeps the token", arguments: Kind.allCases)
        func modify(_ kind: Kind) throws {
            let (selector, pair) = (try kind.make(), try Pair())
            try selector.register(pair.ours, .read, token: 1)
            #expect(try selector.modify(pair.ours, .write).token == 1)
            #expect(try selector.getKey(pair.ours).events == .write)
            #expect(try selector.look() == [pair.ours: .write])
            #expect(try selector.modify(pair.ours, .write, token: 2).token == 2)
            #expect(try selector.getKey(pair.ours).token == 2)
            try selector.modify(pair.ours, .read)
            #expect(try selector.look() == [:])
        }

        @Test("cSEL8, cSEL13: closed, it refuses everything; closing again is harmless")
        func close() throws {
            for kind in Kind.allCases {
                let (selector, pair) = (try kind.make(), try Pair())
                try selector.register(pair.ours, .read)
                selector.close()
                selector.close()
                let closed = SpoolError.closed("selector")
                #expect(throws: closed) { try selector.register(pair.theirs, .read) }
                #expect(throws: closed) { try selector.unregister(pair.ours) }
                #expect(throws: closed) { try selector.modify(pair.ours, .read) }
                #expect(throws: closed) { try selector.getKey(pair.ours) }
                #expect(throws: closed) { try selector.getMap() }
                #expect(throws: closed) { try selector.select(timeout: .zero) }
                #expect(throws: closed) {
                    try (selector as? EpollSelector ?? EpollSelector.ended()).fileno()
                }
                #expect(fcntl(pair.ours, F_GETFD) >= 0, "the descriptors stay open")
            }
        }

        @Test("cSEL10: getMap gives every key", arguments: Kind.allCases)
        func map(_ kind: Kind) throws {
            let (selector, pair) = (try kind.make(), try Pair())
            #expect(try selector.getMap() == [:])
            let keys = [
                try selector.register(pair.ours, .read, token: 1),
                try selector.register(pair.theirs, [.read, .write], token: 2),
            ]
            #expect(try selector.getMap() == [pair.ours: keys[0], pair.theirs: keys[1]])
        }

        @Test("cSEL13: a selector that nobody holds any more is closed", arguments: Kind.allCases)
        func scope(_ kind: Kind) throws {
            // More than a process may have open at once.
            for _ in 0..<min(Limits.descriptors, 70_000) + 1 { _ = try kind.make() }
        }

        @Test(
            "cSEL22: a closed descriptor is refused and leaves no entry", arguments: Kind.allCases)
        func closedDescriptor(_ kind: Kind) throws {
            let selector = try kind.make()
            // No process can have it open; select(2) says that it is too high.
            #expect(throws: SpoolError.self) {
                try selector.register(Int32(clamping: Limits.descriptors + 1), .read)
            }
            let number = try Pair().ours
            if fcntl(number, F_GETFD) < 0 {
                #expect(throws: SpoolError.badInput("descriptor \(number) is not open.")) {
                    try selector.register(number, .read)
                }
            }
            #expect(try selector.getMap() == [:])
        }
    }
}

extension EpollSelector {
    /// One that is closed.
    static func ended() throws -> EpollSelector {
        let selector = try EpollSelector()
        selector.close()
        return selector
    }
}

enum Limits {
    /// How many descriptors this process may open.
    static var descriptors: Int {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: limit.rlim_cur)
    }
}
