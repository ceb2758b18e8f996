// RecordQueue+Members.swift - who holds items, and how it is noticed that it died.
//
// A process becomes a member with its first get: its id and its start stand in its slot. No supervisor has to look after
// them: whoever waits looks at those who hold items, at least every 20 ms while there are any (every second else, for
// those that were woken and died before they could take what they were woken for), and whoever does not wait looks now
// and then. A process counts as dead when its pidfd says so or its id belongs to a process that began at another time.

private import CSpool
private import Glibc
internal import SpoolThreads
private import Synchronization

extension RecordQueue {
    /// How many items are taken in a row before a look at the clock, while others hold some.
    private static let getsBetweenLooks = 16

    /// The slot of this process; takes one. With the lock held, which is released when it throws.
    func memberSlot() throws(SpoolError) -> Int {
        if let slot { return slot }
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
        for slot in 0..<QueueLayout.memberLimit where !lives(members[slot]) {
            giveBackAll(of: slot)
            members[slot].pid = 0
        }
        return freeSlot()
    }

    private func lives(_ member: QueueMember) -> Bool {
        guard spool_process_lives(member.pid) == 1 else { return false }
        let start = spool_process_start(member.pid)
        return start == 0 || member.start == 0 || start == member.start
    }

    /// Gives back what the dead held, and wakes those who can use it.
    /// - Returns: Whether other processes hold items.
    @discardableResult
    func lookForDeaths() -> Bool {
        guard neglect != .holders else { return true }
        let holders = others()
        for (slot, member) in holders where !lives(member) {
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

    /// For those that do not wait: looks if the last look of this process was a while ago.
    /// - Returns: Whether it looked.
    @discardableResult
    func lookNowAndThen() -> Bool {
        let due = nextLook.load(ordering: .relaxed)
        guard Deadline.now().nanoseconds >= due else { return false }
        let next = Deadline(after: pace.shortest).nanoseconds
        guard nextLook.compareExchange(expected: due, desired: next, ordering: .relaxed).exchanged
        else { return false }
        return lookForDeaths()
    }

    /// After an item was taken: a queue that is never empty has nobody that waits.
    func lookAfterGet() {
        // Read without the lock: a hint is enough, and a torn one only looks too early or late.
        if gets % Self.getsBetweenLooks == 0, header.pointee.heldCount > 1 { lookNowAndThen() }
    }
}
