// EpollSelectorTests.swift - what only epoll can: edges, one shot, several waiting threads, selectors in selectors.

import Glibc
import SpoolSelectors
import SpoolThreads
import Testing

extension SelectorSuite {
    @Suite("over epoll") struct Epoll {
        let selector: EpollSelector
        let pair: Pair

        init() throws { (selector, pair) = (try EpollSelector(), try Pair()) }

        @Test("is the default")
        func isDefault() { #expect(DefaultSelector.self == EpollSelector.self) }

        @Test("cSEL6: a new token alone does not touch the kernel's registration, new events do")
        func tokenOnly() throws {
            pair.send()
            try selector.register(pair.ours, [.read, .edge])
            #expect(try selector.look() == [pair.ours: .read])
            try selector.modify(pair.ours, [.read, .edge], token: 8)
            #expect(try selector.look() == [:], "a touched registration tells its edge again")
            try selector.modify(pair.ours, [.read, .write, .edge])
            #expect(try selector.look() == [pair.ours: [.read, .write]])
        }

        @Test("cSEL7: when the kernel refuses a change, the entry is gone and the error told")
        func refusedChange() throws {
            let number = dup(pair.ours)
            try selector.register(number, .read)
            Glibc.close(number)
            try #require(dup2(pair.theirs, number) == number)
            defer { Glibc.close(number) }
            #expect(throws: SpoolError.system(call: "epoll_ctl", errno: ENOENT)) {
                try selector.modify(number, .write)
            }
            #expect(try selector.getMap() == [:])
            try selector.register(number, .write)
            #expect(try selector.look() == [number: .write])
        }

        @Test("cSEL14: has a descriptor, which another selector can watch")
        func nested() throws {
            let outer = try EpollSelector()
            try selector.register(pair.ours, .read)
            try outer.register(try selector.fileno(), .read, token: 2)
            #expect(try outer.look() == [:])
            pair.send()
            #expect(try outer.select().map(\.key.token) == [2])
        }

        @Test("refuses a regular file, which poll takes")
        func regularFile() throws {
            let file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
            defer { Glibc.close(file) }
            let error = #expect(throws: SpoolError.self) { try selector.register(file, .read) }
            #expect(error?.code == "bad_input" && error?.hint?.contains("PollSelector") == true)
            #expect(try selector.getMap() == [:])
            let poll = try PollSelector()
            try poll.register(file, .read)
            #expect(try poll.look() == [file: .read])
        }

        @Test(
            "tells an edge once, and each that comes later: none is lost between reading and waiting"
        )
        func edges() throws {
            try selector.register(pair.ours, [.read, .edge])
            let total = 100_000
            let sender = try Call { [pair] in
                var left = total
                while left > 0 {
                    let part = [UInt8](repeating: 1, count: min(left, 1 + left % 7))
                    left -= max(0, Glibc.write(pair.theirs, part, part.count))
                }
                return true
            }
            var got = 0
            while got < total {
                let told = try selector.select(timeout: .seconds(30))
                try #require(!told.isEmpty, "an edge was lost after \(got) bytes")
                while case let count = pair.receive(atMost: 64), count > 0 { got += count }
            }
            #expect(try sender.value() && got == total)
            #expect(try selector.look() == [:])
            pair.send()
            #expect(try selector.look() == [pair.ours: .read])
            #expect(try selector.look() == [:], "not read, and told already")
        }

        @Test("one shot is told once, until it is modified")
        func oneShot() throws {
            try selector.register(pair.ours, [.read, .oneShot])
            pair.send()
            #expect(try selector.look() == [pair.ours: .read])
            pair.send()
            #expect(try selector.look() == [:])
            try selector.modify(pair.ours, [.read, .oneShot])
            #expect(try selector.look() == [pair.ours: .read])
        }

        @Test(
            "of several threads that wait for one edge, one is woken",
            arguments: [Events.edge, .oneShot])
        func herd(_ how: Events) throws {
            try selector.register(pair.ours, how.union(.read))
            let calls = try (0..<4).map { _ in
                try Call { [selector] in try selector.select().count }
            }
            for call in calls { try call.untilAsleep() }
            pair.send()
            try Until.true("nobody was woken") { calls.contains(where: \.isOver) }
            selector.close()
            // An error is the end that close gave.
            let woken = calls.filter { (try? $0.value()) == 1 }
            #expect(woken.count == 1)
        }
    }
}
