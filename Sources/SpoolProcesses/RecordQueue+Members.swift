// RecordQueue+Members.swift - who holds items, and how it is noticed that it died.
//
// A process becomes a member with its first get: its id and its start stand in its slot. No supervisor has to look
// after them: of those that wait one looks at those who hold items, every 20 ms while there are any (every second else,
// for those that were woken and died before they could take what they were woken for), and whoever does not wait looks
// now and then. A process counts as dead when its pidfd says so or its id belongs to a process that began at another
// time.

private import CSpool
private import Glibc
internal import SpoolThreads
private import Synchronization

extension RecordQueue {
    /// How many items are taken in a row before a look at the clock, while others hold some.
    static let getsBetweenLooks = 16

    /// The slot of this process; takes one. With the lock held, which is released when it throws.
    @inline(__always) func memberSlot() throws(SpoolError) -> Int {
        if let slot { return slot }
        return try newSlot()
    }

    private func newSlot() throws(SpoolError) -> Int {
        guard let free = freeSlot() ?? slotOfADeadOne() else {
            release()
            throw .system(call: "joining a shared queue", errno: EUSERS)
        }
        header.pointee.memberSlots = max(header.pointee.memberSlots, UInt32(free) + 1)
        members[free].held = RecordList()
        members[free].heldCount = 0
        members[free].start = spool_process_start(getpid())
        // Written last: the slot is taken from here on.
        members[free].pid = getpid()
        slot = free
        return free
    }

    private func freeSlot() -> Int? {
        (0..<QueueLayout.memberLimit).first { members[$0].pid == 0 }
    }

    private func slotOfADeadOne() -> Int? {
        for slot in 0..<QueueLayout.memberLimit where !lives(members[slot], thoroughly: true) {
            giveBackAll(of: slot)
            members[slot].pid = 0
        }
        wakeAll()
        return freeSlot()
    }

    private func lives(_ member: QueueMember, thoroughly: Bool) -> Bool {
        guard spool_process_lives(member.pid) == 1 else { return false }
        guard thoroughly else { return true }
        let start = spool_process_start(member.pid)
        return start == 0 || member.start == 0 || start == member.start
    }

    /// Gives back what the dead held, and wakes those who can use it.
    /// - Parameter thoroughly: Also compares when the processes began, which costs a file to be read for each.
    /// - Returns: Whether other processes hold items.
    @discardableResult
    func lookForDeaths(thoroughly: Bool = true) -> Bool {
        guard neglect != .holders else { return true }
        let holders = others()
        for (slot, member) in holders where !lives(member, thoroughly: thoroughly) {
            acquire()
            if members[slot].pid == member.pid, members[slot].start == member.start {
                giveBackAll(of: slot)
                members[slot].pid = 0
                wakeAll()
            }
            release()
        }
        return !holders.isEmpty
    }

    /// The other processes that hold items.
    private func others() -> [(Int, QueueMember)] {
        acquire()
        defer { release() }
        guard header.pointee.heldCount > 0 else { return [] }
        return (0..<Int(header.pointee.memberSlots))
            .filter { $0 != slot && members[$0].heldCount > 0 }.map { ($0, members[$0]) }
    }

    /// For those that do not wait: looks if the last look of this process was a while ago, and nobody else has looked.
    /// - Returns: Whether it looked.
    @discardableResult
    func lookNowAndThen() -> Bool {
        let due = nextLook.load(ordering: .relaxed)
        guard Deadline.now().nanoseconds >= due else { return false }
        let next = Deadline(after: pace.shortest).nanoseconds
        guard nextLook.compareExchange(expected: due, desired: next, ordering: .relaxed).exchanged,
            takeTurn() != nil
        else { return false }
        return lookForDeaths()
    }

    /// For those that wait, each time that they wake up by themselves.
    /// - Returns: Whether other processes hold items.
    func lookInTurn() -> Bool {
        guard let number = takeTurn() else { return othersHold }
        // Numbers of processes are given again late: a look in 16 is enough for that.
        return lookForDeaths(thoroughly: number % 16 == 15)
    }

    /// One looks for all, of whichever process: if each of a hundred that wait looked at each of a hundred that hold
    /// items, they would keep a processor busy. Nobody waits for one that has died or stands still in its turn.
    /// - Returns: Which look it is; nil if somebody has looked within the shortest pace.
    func takeTurn() -> UInt64? {
        let last = lastLook.pointee.load(ordering: .relaxed)
        let now = Deadline.now().nanoseconds
        // A time that is still to come is none of this clock's.
        let isRecent = last > 0 && last <= now && now - last < UInt64(pace.shortest.nanoseconds)
        guard !isRecent else { return nil }
        let (isMine, _) = lastLook.pointee.compareExchange(
            expected: last, desired: now, ordering: .relaxed)
        return isMine ? looks.pointee.wrappingAdd(1, ordering: .relaxed).oldValue : nil
    }

    private var othersHold: Bool {
        look { $0.heldCount > (slot.map { members[$0].heldCount } ?? 0) }
    }

    private var lastLook: UnsafeMutablePointer<Atomic<UInt64>> { atom(QueueLayout.lastLook) }
    private var looks: UnsafeMutablePointer<Atomic<UInt64>> { atom(QueueLayout.looks) }

    private func atom(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (memory.base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }
}
