// Spool.swift - what an application names: the durable queue and its workers, in one import.

@_exported public import SpoolJobs
@_exported public import SpoolProcesses
@_exported public import SpoolQueues
@_exported public import SpoolSelectors
@_exported public import SpoolThreads
@_exported public import SpoolWorker
