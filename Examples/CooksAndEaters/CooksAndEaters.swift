// CooksAndEaters.swift - producers and consumers as threads, and a queue between them.
//
//     swift run CooksAndEaters
//
// The same kitchen with processes and a durable queue is Examples/ProducersAndConsumers.

import Spool
import Synchronization

@main
enum CooksAndEaters {
    static func main() throws {
        let counter = Queue<String>(maxsize: 5)  // a sixth dish waits until there is room
        let eaten = Atomic(0)

        // Consumers are daemons: they wait for ever, and end with the process.
        for name in ["Anna", "Bruno", "Carla"] {
            try Thread(name: name, daemon: true) {
                while true {
                    try counter.work { dish in
                        print("\(name) eats \(dish)")
                        eaten.add(1, ordering: .relaxed)
                    }
                }
            }.start()
        }

        let cooks = ["the chef", "the apprentice"].map { (name: String) in
            Thread(name: name) {
                for number in 1...20 { try counter.put("dish \(number) of \(name)") }
                try counter.join()  // until everything is eaten
            }
        }
        for cook in cooks { try cook.start() }
        for cook in cooks { try cook.join() }
        print("\(eaten.load(ordering: .relaxed)) dishes were cooked, and all are eaten")
    }
}
