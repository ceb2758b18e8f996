// Use.swift - a process that was exec'd and uses a queue of numbers, which it has been given as its standard input.
//
//     SharedKillRig use WORD...
//
// Does what the words say, one after the other, and writes a line for each: what came of it, or the error's code.

import CSingleStep
import Glibc
import SpoolQueues
import SpoolThreads

@testable import SpoolProcesses

struct Use {
    private let queue: SharedQueue<Int>
    private let words: [String]

    init(_ words: [String]) throws(SpoolError) {
        self.words = words
        queue = try SharedQueue(mapping: Descriptor(owning: dup(0)))
    }

    func run() {
        for (index, word) in words.enumerated() {
            let parts = word.split(separator: "=")
            let number = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
            do throws(SpoolError) {
                say(try act(parts[0], number))
            } catch {
                say(error.code)
            }
            if parts[0] == "fork" { return goOn(after: index) }
        }
    }

    private func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(1, bytes, bytes.count)
    }

    private func act(_ verb: Substring, _ number: Int) throws(SpoolError) -> String {
        switch verb {
        case "put": try queue.put(number)
        case "putNowait": try queue.putNowait(number)
        case "get": return "\(try queue.get())"
        case "getNowait": return "\(try queue.getNowait())"
        case "taskDone": try queue.taskDone()
        case "join": return "\(try queue.join(timeout: .seconds(number)))"
        case "count": return "\(queue.count)"
        case "close": queue.close()
        case "fork": break
        case "hang": while true { pause() }
        case "generations": try generations(number)
        case "looks": for _ in 0..<number { queue.lookForDeaths() }
        case "limit-memory": limit(__rlimit_resource_t(RLIMIT_AS.rawValue), 1 << 30)
        case "limit-file": limit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), 1 << 20)
        case "limit-descriptors": limit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), 0)
        case "make": _ = try SharedQueue<Int>(bytes: number)
        case "descriptors": return "\((0..<100).count { fcntl($0, F_GETFD) >= 0 })"
        default: fail("no verb \(verb)")
        }
        return "ok"
    }

    private func limit(_ resource: __rlimit_resource_t, _ value: UInt) {
        var limit = rlimit(rlim_cur: value, rlim_max: value)
        if setrlimit(resource, &limit) != 0 { fail("setrlimit: \(errno)") }
    }

    /// One consumer after the other, each a process of its own that ends without a word.
    private func generations(_ count: Int) throws(SpoolError) {
        for item in 0..<count {
            try queue.put(item)
            let consumer = forked {
                guard (try? queue.get(timeout: .seconds(30))) == item,
                    (try? queue.taskDone()) != nil
                else { _exit(3) }
            }
            guard ended(consumer, within: .seconds(30)) == 0 else { fail("consumer \(item)") }
        }
    }

    /// The rest is the child's.
    private func goOn(after index: Int) {
        let rest = Array(words[(index + 1)...])
        let child = forked { Use(queue, rest).run() }
        if ended(child, within: .seconds(60)) != 0 { fail("the child") }
    }

    private init(_ queue: SharedQueue<Int>, _ words: [String]) {
        (self.queue, self.words) = (queue, words)
    }
}
