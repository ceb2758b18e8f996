// TourTests.swift - the tour "From Python to Spool" is true: its code is the examples' code, its names exist.

import Foundation
import Testing

@Suite("The tour From Python to Spool") struct TourTests {
    private static let top = String(#filePath.dropLast("/Tests/ExampleTests/TourTests.swift".count))
    private let lines: [String]

    init() throws { lines = try Self.read("docs/from-python.md") }

    private static func read(_ path: String) throws -> [String] {
        try String(contentsOfFile: top + "/" + path, encoding: .utf8)
            .split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.trimmingCharacters(in: .whitespaces) }
    }

    @Test("shows code that stands, line by line, in the example it names")
    func code() throws {
        var example = ""
        var block: [String]?
        var count = 0
        for line in lines {
            if let link = line.firstMatch(of: #/\(\.\./(Examples/[^)]*\.swift)\)/#) {
                example = String(link.1)
            }
            if let shown = block, line == "```" {
                let text = try Self.read(example)
                let stands = text.indices.contains { text[$0...].starts(with: shown) }
                #expect(stands, "\(example) does not hold this code: \(shown.first ?? "")")
                count += 1
                block = nil
            } else if line == "```swift" {
                block = []
            } else {
                block?.append(line)
            }
        }
        #expect(count >= 10)
    }

    @Test("shows code of every example that the tutorial has a program for")
    func everyExample() throws {
        let examples = try FileManager.default.contentsOfDirectory(atPath: Self.top + "/Examples")
            .filter { $0 != "ProducersAndConsumers" }
        #expect(examples.count > 10)
        for example in examples {
            let link = try #require(
                lines.firstIndex { $0.contains("(../Examples/\(example)/") },
                "the tour does not link to \(example)")
            let next = lines[(link + 1)...].firstIndex { $0.contains("(../Examples/") }
            let shown = lines[link..<(next ?? lines.endIndex)]
            #expect(shown.contains("```swift"), "the tour shows nothing of \(example)")
        }
    }

    @Test("names twins that exist")
    func twins() throws {
        let sources = try FileManager.default.subpathsOfDirectory(atPath: Self.top + "/Sources")
            .filter { $0.hasSuffix(".swift") }
            .flatMap { try Self.read("Sources/" + $0) }.joined(separator: "\n")
        let known = Set(sources.matches(of: #/\w+/#).map(\.output))
        let rows = lines.filter { $0.hasPrefix("|") && !$0.hasPrefix("|-") }
        #expect(rows.count > 60)
        for row in rows {
            let cells = row.split(separator: "|", omittingEmptySubsequences: false)
            try #require(cells.count == 5, "a row has three cells: \(row)")
            for code in cells[2].matches(of: #/`([^`]*)`/#) {
                for word in code.1.matches(of: #/[A-Za-z]{2,}/#) {
                    #expect(known.contains(word.output), "no source has '\(word.output)': \(row)")
                }
            }
        }
    }

    @Test("names every name of the tutorial")
    func tutorial() {
        let names = [
            "threading.Thread", "run()", "setName()", "send(obj)", "recv()", "fileno()", "fileobj",
            "daemon", "cancel_futures", "kqueue", "devpoll", "EPOLLET", "aiohttp", "EOFError",
            "start()", "join(timeout)", "is_alive()", "getName()",
            "setDaemon(True)", "current_thread()", "threading.Lock()", "acquire(", "release()",
            "threading.RLock()", "threading.Semaphore(", "threading.Event()", "wait(timeout)",
            "set()", "clear()", "is_set()", "queue.Queue(", "queue.LifoQueue",
            "queue.PriorityQueue", "put(item", "get(block", "qsize()", "empty()", "full()",
            "task_done()", "unfinished_tasks", "multiprocessing.Process", "set_start_method",
            "terminate()", "p.pid", "p.daemon", "multiprocessing.Queue", "JoinableQueue",
            "multiprocessing.Pipe", "ThreadPoolExecutor", "ProcessPoolExecutor", "submit(fn",
            "map(func", "shutdown(wait", "result(timeout)", "exception(timeout)",
            "add_done_callback(fn)", "TimeoutError", "DefaultSelector()", "register(fileobj",
            "unregister(fileobj)", "select(timeout)", "EVENT_READ", "SelectorKey", "GIL",
        ]
        let page = lines.joined(separator: "\n")
        for name in names { #expect(page.contains(name), "the tour does not name \(name)") }
    }
}
