// ChildProcess+All.swift - what a program says and asks about its processes as a whole.

private import Glibc
public import SpoolThreads

extension ChildProcess {
    /// Lets this program be its own children: if it was executed to be one, it is one until its end, and this does not
    /// return. Else it registers the entries, and returns.
    ///
    /// Call it first of all in main, while there is one thread and nothing is open. Two entries of one name are a
    /// mistake of the program and end it. What stands in main in front of `if __name__ == "__main__"` in Python.
    public static func serveIfAsked<each Input, each Output>(
        _ entries: repeat ChildEntry<each Input, each Output>
    ) {
        var all = [PoolWorker.entry.registered]
        repeat all.append((each entries).registered)
        EntryRegistry.shared.register(all)
        Zygote.serveIfAsked()
    }

    /// What this process is. Python's current_process().
    public static var current: CurrentProcess { ChildRoll.shared.own }

    /// Who started this process; nil if it was no ``ChildProcess``. Python's parent_process().
    public static var parent: ParentProcess? { current.parent }

    /// The children that were started and have not ended, in no order. Python's active_children().
    ///
    /// Takes the end of those that have ended: their `exitStatus` stays.
    public static var active: [ChildProcess] {
        reapEnded()
        return ChildRoll.shared.children
    }

    /// Blocks until any of the children has ended, each of which is told once: not those that were joined, or whose
    /// `exitStatus` was seen.
    /// - Returns: Which, and how. Nil: there is none.
    /// - Throws: `system` when descriptors or memory are short.
    public static func waitForAny() throws(SpoolError) -> (child: ChildProcess, end: ProcessEnd)? {
        while true {
            reapEnded()
            // One that another thread closes just now is not told.
            if let child = ChildRoll.shared.takeUntold(), let end = try? child.exitStatus {
                return (child, end)
            }
            let children = ChildRoll.shared.children
            guard !children.isEmpty else { return nil }
            do throws(SpoolError) {
                _ = try Connection.wait(for: children)
            } catch .closed {}
        }
    }

    /// How many processors this process may use: those of its affinity, and no more than its control groups pay for.
    public static var cpuCount: Int { Cores.usable }
}
