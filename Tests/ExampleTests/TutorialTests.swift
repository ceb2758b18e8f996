// TutorialTests.swift - the tutorial's programs run, and print what they promise.

import Testing

@Suite("The tutorial's programs", .timeLimit(.minutes(10))) struct TutorialTests {
    @Test(
        "print, line by line, what they promise",
        arguments: [
            (
                "SimpleThreads",
                [
                    "first: 12 123, age 20", "first: in the same process: true",
                    "second: 1 3, age 20", "second: in the same process: true",
                    "first is alive: false, second is alive: false",
                ]
            ),
            (
                "DaemonThreads",
                [
                    "short: done", "short is alive: false", "endless is alive: true", "main: exit",
                    "loyal: the process waits for me",
                ]
            ),
            (
                "Locks",
                ["without a lock: 99 of 100 are left", "with a lock: 0 of 100 are left"]
            ),
            (
                "DeadLock",
                [
                    "first: has lock A", "second: has lock B", "first: dead lock, gives up lock A",
                    "second: has both locks",
                    "RLock: 10 threads took it twice over, none is stuck",
                ]
            ),
            (
                "WaitForEvent",
                [
                    "waiter: the event is set: false", "waiter: not yet", "waiter: waits",
                    "waiter: the event is set: true", "main: after clear it is set: false",
                ]
            ),
            (
                "ByPriority",
                [
                    "Queue: c, LifoQueue: again a, PriorityQueue: a",
                    "Queue: a, LifoQueue: b, PriorityQueue: again a",
                    "Queue: b, LifoQueue: a, PriorityQueue: b",
                    "Queue: again a, LifoQueue: c, PriorityQueue: c",
                ]
            ),
            (
                "Processes",
                [
                    "number 1, name lczmx, age 22", "worker: a child of MainProcess",
                    "worker ended: well", "endless is alive: true",
                    "Process-1 ended: killed by signal 15 (SIGTERM)", "main: exit",
                ]
            ),
            (
                "PipeTalk",
                [
                    "child: got 1 noodle soup true", "parent: noodle soup is ready",
                    "child: nobody will ask for more",
                ]
            ),
            (
                "Pools",
                [
                    "12 * 12 = 144", "in another process: true",
                    "squares: [1, 4, 9, 16, 25, 36, 49, 64, 81, 100]",
                    "killed: the process that ran the task has died.", "and the pool goes on: 9",
                ]
            ),
        ])
    func prints(_ name: String, _ lines: [String]) throws {
        #expect(try Example(name).lines() == lines)
    }

    @Test("Semaphores lets all nine in, never more than five at once")
    func semaphores() throws {
        let lines = try Example("Semaphores").lines()
        #expect(Set(lines.dropLast()) == Set((1...9).map { "guest \($0) ..." }))
        #expect(lines.count == 10 && lines.last == "never more than 5 at once")
    }

    @Test("CooksAndEaters: every dish is eaten, once")
    func cooksAndEaters() throws {
        let lines = try Example("CooksAndEaters").lines()
        #expect(lines.last == "40 dishes were cooked, and all are eaten")
        let dishes = lines.dropLast().compactMap { $0.firstMatch(of: #/eats (.*)/#)?.1 }
        let cooked = ["the chef", "the apprentice"].flatMap { name in
            (1...20).map { "dish \($0) of \(name)" }
        }
        #expect(dishes.count == 40 && Set(dishes.map(String.init)) == Set(cooked))
        let eaters = Set(lines.dropLast().compactMap { $0.split(separator: " ").first })
        #expect(eaters.isSubset(of: ["Anna", "Bruno", "Carla"]))
    }

    @Test("ProcessKitchen: every dish is eaten, once, by processes")
    func processKitchen() throws {
        let lines = try Example("ProcessKitchen").lines()
        #expect(lines.last == "20 dishes were cooked, and all are eaten")
        let dishes = lines.dropLast().compactMap { $0.firstMatch(of: #/eats (.*)/#)?.1 }
        #expect(dishes.map(String.init).sorted() == (1...20).map { "dish \($0)" }.sorted())
    }
}
