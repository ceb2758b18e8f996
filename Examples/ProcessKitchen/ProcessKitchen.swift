// ProcessKitchen.swift - the tutorial's last program: a chef and two eaters as processes, over a queue in memory.
//
//     swift run ProcessKitchen
//
// The eaters are daemons: they end with the main process. Whether that may end, the chef decides, who joins the queue.

import Glibc
import Spool

struct Cook: Codable, Sendable {
    let counter: SharedQueue<String>
    let dishes: Int
}

let eat = ChildEntry("eat") { (counter: SharedQueue<String>) in
    while true {
        try counter.work { dish in say("\(ChildProcess.current.name) eats \(dish)") }
    }
}

let cook = ChildEntry("cook") { (order: Cook) in
    for number in 1...order.dishes {
        try order.counter.put("dish \(number)")
    }
    // Returns when the last dish was eaten, also if an eater died with one in hand: then the other eats it.
    try order.counter.join()
}

@main
enum ProcessKitchen {
    static func main() throws {
        ChildProcess.serveIfAsked(eat, cook)

        let counter = try SharedQueue<String>(maxsize: 5)
        for name in ["Anna", "Bruno"] {
            try ChildProcess(eat, counter, name: name, daemon: true).start()
        }
        let chef = ChildProcess(cook, Cook(counter: counter, dishes: 20), name: "chef")
        try chef.start()
        try chef.join()
        say("20 dishes were cooked, and all are eaten")
    }
}

/// A line that everybody sees at once, also of a process that is killed later.
func say(_ line: String) {
    print(line)
    fflush(nil)
}
