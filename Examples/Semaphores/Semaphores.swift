// Semaphores.swift - nine threads, of which at most five are in the room at once.
//
//     swift run Semaphores

import Spool
import Synchronization

@main
enum Semaphores {
    static func main() throws {
        let room = Semaphore(5)
        let inside = Atomic(0)
        let most = Atomic(0)
        let threads = (1...9).map { number in
            Thread(name: "guest \(number)") {
                room.withAcquired {
                    most.max(inside.add(1, ordering: .relaxed).newValue, ordering: .relaxed)
                    print("\(Thread.current.name) ...")
                    Pause.briefly(upTo: .milliseconds(20))
                    inside.subtract(1, ordering: .relaxed)
                }
            }
        }
        for thread in threads { try thread.start() }
        for thread in threads { try thread.join() }
        let highest = most.load(ordering: .relaxed)
        print(highest <= 5 ? "never more than 5 at once" : "\(highest) at once")
    }
}
