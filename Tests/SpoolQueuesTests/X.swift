// X.swift - x.
import SpoolQueues
import Testing
@Test func asyncs() async throws {
  let q = Queue<Int>(maxsize: 3)
  try await q.put(1)
  let x = try await q.get()
  try q.taskDone()
  try await q.join()
  try await q.work { _ in }
  print(x)
}
@Test func syncs() throws {
  let q = PriorityQueue<Int>(maxsize: 3)
  try q.put(1)
  _ = try q.get()
  try q.taskDone()
  try q.join()
  try q.work { _ in }
}
