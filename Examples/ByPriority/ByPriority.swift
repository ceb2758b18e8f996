// ByPriority.swift - what a queue gives back first: the oldest, the newest, or the smallest.
//
//     swift run ByPriority

import Spool

@main
enum ByPriority {
    static func main() throws {
        let oldest = Queue<String>()
        let newest = LifoQueue<String>()
        let smallest = PriorityQueue<PrioritizedItem<String>>()
        for (priority, word) in [(3, "c"), (1, "a"), (2, "b"), (1, "again a")] {
            try oldest.put(word)
            try newest.put(word)
            try smallest.put(PrioritizedItem(word, priority: priority))
        }
        while !smallest.isEmpty {
            let (first, last, next) = (try oldest.get(), try newest.get(), try smallest.get())
            print("Queue: \(first), LifoQueue: \(last), PriorityQueue: \(next.item)")
        }
    }
}
