// swift-tools-version:6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

// scripts/fuzz links a program of its own with the commands' parsers: SpoolCommand is then a library with another main.
let isFuzzed = Context.environment["SPOOL_FUZZ"] != nil
let entryPoint = ["-Xfrontend", "-entry-point-function-name", "-Xfrontend", "SpoolCommand_main"]

// The tutorial that Spool grew from, program by program (docs/from-python.md).
let tutorial = [
    "SimpleThreads", "DaemonThreads", "Locks", "DeadLock", "Semaphores", "WaitForEvent",
    "CooksAndEaters", "ByPriority", "EchoServer", "Processes", "PipeTalk", "ProcessKitchen",
    "Pools",
]

let fuzzers: [Target] = [
    .target(name: "CFuzzer", path: "Tests/CFuzzer"),
    .executableTarget(
        name: "Fuzzers", dependencies: ["CFuzzer", "Fuzzing", "SpoolThreads"],
        path: "Tests/Fuzzers", swiftSettings: strict),
]

let ofCommand: [Target.Dependency] = [
    "CSpool", "SpoolThreads", "SpoolQueues", "SpoolProcesses", "SpoolJobs", "SpoolWorker",
    .product(name: "ArgumentParser", package: "swift-argument-parser"),
]

// The floors of the house, lowest first: a target imports strictly downward (docs/ARCHITECTURE.md).
let package = Package(
    name: "spool",
    products: [.library(name: "Spool", targets: ["Spool"])]
        + (isFuzzed ? [] : [.executable(name: "spool", targets: ["SpoolCommand"])]),
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
    ],
    targets: [
        .target(name: "CSpool"),
        .systemLibrary(
            name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .target(name: "Migrations", path: "migrations", exclude: ["sqlite"]),
        .target(name: "SpoolThreads", dependencies: ["CSpool"], swiftSettings: strict),
        .target(
            name: "SpoolSelectors", dependencies: ["CSpool", "SpoolThreads"],
            swiftSettings: strict),
        .target(
            name: "SpoolQueues", dependencies: ["CSpool", "SpoolThreads"], swiftSettings: strict),
        .target(
            name: "SpoolProcesses",
            dependencies: ["CSpool", "SpoolThreads", "SpoolSelectors", "SpoolQueues"],
            swiftSettings: strict),
        .target(
            name: "SpoolJobs",
            dependencies: ["CSpool", "CSQLite", "Migrations", "SpoolThreads", "SpoolProcesses"],
            swiftSettings: strict),
        .target(
            name: "SpoolWorker",
            dependencies: [
                "CSpool", "SpoolThreads", "SpoolSelectors", "SpoolProcesses", "SpoolJobs",
            ],
            swiftSettings: strict),
        .target(
            name: "Spool",
            dependencies: [
                "SpoolThreads", "SpoolSelectors", "SpoolQueues", "SpoolProcesses", "SpoolJobs",
                "SpoolWorker",
            ],
            swiftSettings: strict),
        // Linked without the dynamic loader in release: `spool put` starts in the time of /bin/true.
        isFuzzed
            ? .target(
                name: "SpoolCommand", dependencies: ofCommand,
                swiftSettings: strict + [.unsafeFlags(entryPoint)])
            : .executableTarget(
                name: "SpoolCommand", dependencies: ofCommand, swiftSettings: strict,
                linkerSettings: [
                    .unsafeFlags(
                        ["-static-executable"], .when(platforms: [.linux], configuration: .release))
                ]),
        .executableTarget(
            name: "ProducersAndConsumers", dependencies: ["Spool"],
            path: "Examples/ProducersAndConsumers", swiftSettings: strict),
        .executableTarget(
            name: "QueueBenchmark", dependencies: ["CSpool", "SpoolThreads", "SpoolQueues"],
            path: "Benchmarks/queues/QueueBenchmark", swiftSettings: strict),
        .executableTarget(
            name: "StoreBenchmark", dependencies: ["SpoolJobs", "SpoolThreads"],
            path: "Benchmarks/store/StoreBenchmark", swiftSettings: strict),
        .executableTarget(
            name: "SelectorBenchmark", dependencies: ["CSpool", "SpoolThreads", "SpoolSelectors"],
            path: "Benchmarks/selectors/SelectorBenchmark", swiftSettings: strict),
        .executableTarget(
            name: "SharedLockBenchmark", dependencies: ["SpoolThreads", "SpoolProcesses"],
            path: "Benchmarks/sharedlocks/SharedLockBenchmark", swiftSettings: strict),
        .executableTarget(
            name: "FutureBenchmark", dependencies: ["SpoolThreads", "SpoolQueues"],
            path: "Benchmarks/futures/FutureBenchmark", swiftSettings: strict),
        .executableTarget(
            name: "SharedQueueBenchmark",
            dependencies: ["CSpool", "SpoolThreads", "SpoolProcesses"],
            path: "Benchmarks/processes/SharedQueueBenchmark", swiftSettings: strict),
        .executableTarget(
            name: "ChildBenchmark",
            dependencies: ["SpoolThreads", "SpoolQueues", "SpoolProcesses"],
            path: "Benchmarks/children/ChildBenchmark", swiftSettings: strict),
        .executableTarget(
            name: "Futures", dependencies: ["Spool"], path: "Examples/Futures",
            swiftSettings: strict),
        .testTarget(
            name: "FutureTests",
            dependencies: ["Patience", "CSpool", "SpoolQueues", "SpoolThreads", "Futures"],
            swiftSettings: strict),
        .testTarget(
            name: "SpoolQueuesTests",
            dependencies: [
                "Patience", "SpoolQueues", "SpoolThreads", "SpoolProcesses", "SpoolJobs",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "SpoolJobsTests",
            dependencies: [
                "Patience", "CFaultDisk", "SpoolJobs", "SpoolThreads", "CSQLite", "Migrations",
                "CSpool",
            ],
            swiftSettings: strict),
        .target(
            name: "Patience", dependencies: ["CSpool", "SpoolProcesses", "SpoolThreads"],
            path: "Tests/Patience", swiftSettings: strict),
        .target(
            name: "Dice", dependencies: ["SpoolThreads"], path: "Tests/Dice", swiftSettings: strict),
        .target(name: "CFaultDisk", dependencies: ["CSQLite"], path: "Tests/CFaultDisk"),
        .executableTarget(
            name: "PowerCutRig", dependencies: ["CFaultDisk", "SpoolJobs", "SpoolThreads"],
            path: "Tests/PowerCutRig", swiftSettings: strict),
        .target(name: "CFaultFiles", path: "Tests/CFaultFiles"),
        .executableTarget(
            name: "NewFileRig", dependencies: ["CFaultFiles", "Dice", "SpoolJobs", "SpoolThreads"],
            path: "Tests/NewFileRig", swiftSettings: strict),
        .target(name: "CSingleStep", path: "Tests/CSingleStep"),
        .executableTarget(
            name: "SharedKillRig",
            dependencies: [
                "CSingleStep", "CSpool", "Dice", "SpoolProcesses", "SpoolQueues", "SpoolThreads",
            ],
            path: "Tests/SharedKillRig", swiftSettings: strict),
        .executableTarget(
            name: "FaultRig",
            dependencies: ["CFaultDisk", "CSpool", "CSQLite", "Dice", "SpoolJobs", "SpoolThreads"],
            path: "Tests/FaultRig", swiftSettings: strict),
        .target(
            name: "History", dependencies: ["SpoolThreads"], path: "Tests/History",
            exclude: ["check.py"], swiftSettings: strict),
        .target(
            name: "Simulation",
            dependencies: [
                "CFaultDisk", "CSQLite", "History", "SpoolJobs", "SpoolThreads", "SpoolWorker",
            ],
            path: "Tests/Simulation",
            // Thousands of runs: the judge is optimized also where Spool itself is not.
            swiftSettings: strict + [.unsafeFlags(["-O"], .when(configuration: .debug))]),
        .executableTarget(
            name: "Simulator", dependencies: ["Simulation", "SpoolThreads"],
            path: "Tests/Simulator", swiftSettings: strict),
        .testTarget(
            name: "SimulationTests",
            dependencies: [
                "Patience", "CFaultDisk", "CSQLite", "Simulation", "Simulator", "SpoolJobs",
                "SpoolThreads",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "HistoryTests",
            dependencies: ["Patience", "History", "SpoolJobs", "SpoolQueues", "SpoolThreads"],
            swiftSettings: strict),
        .testTarget(
            name: "KillTests",
            dependencies: [
                "Patience", "CSQLite", "Dice", "History", "SpoolJobs", "SpoolThreads",
                "SpoolCommand", "ProducersAndConsumers", "PowerCutRig", "NewFileRig",
                "SharedKillRig", "FaultRig",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "SpoolCommandTests",
            dependencies: ["Patience", "SpoolCommand", "SpoolJobs", "SpoolThreads"],
            swiftSettings: strict),
        .testTarget(
            name: "SpoolWorkerTests",
            dependencies: [
                "CSpool", "SpoolCommand", "SpoolProcesses", "SpoolWorker", "SpoolJobs",
                "SpoolThreads",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "SpoolProcessesTests",
            dependencies: [
                "Patience", "CSpool", "SpoolCommand", "SharedKillRig", "SpoolProcesses",
                "SpoolQueues",
                "SpoolThreads",
            ],
            swiftSettings: strict),
        .target(name: "CFaultZygote", path: "Tests/CFaultZygote"),
        .executableTarget(
            name: "ChildRig",
            dependencies: [
                "CFaultZygote", "CSpool", "SpoolProcesses", "SpoolQueues", "SpoolThreads",
            ],
            path: "Tests/ChildRig", swiftSettings: strict),
        .testTarget(
            name: "ChildTests",
            dependencies: ["CSpool", "SpoolProcesses", "SpoolThreads", "ChildRig"],
            swiftSettings: strict),
        .executableTarget(
            name: "SharedLockRig",
            dependencies: ["CSingleStep", "CSpool", "Dice", "SpoolProcesses", "SpoolThreads"],
            path: "Tests/SharedLockRig", swiftSettings: strict),
        .testTarget(
            name: "SharedLockTests",
            dependencies: [
                "Patience", "CSpool", "SharedLockRig", "SpoolProcesses", "SpoolThreads",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ExampleTests",
            dependencies: ["Spool", "SpoolThreads"] + tutorial.map { .init(stringLiteral: $0) },
            swiftSettings: strict),
        .testTarget(
            name: "SpoolSelectorsTests",
            dependencies: ["CSpool", "SpoolSelectors", "SpoolThreads"],
            swiftSettings: strict),
        .testTarget(
            name: "SpoolThreadsTests",
            dependencies: ["Patience", "CSpool", "SpoolThreads", "SpoolProcesses"],
            swiftSettings: strict),
        .target(
            name: "Fuzzing",
            dependencies: [
                "CSQLite", "SpoolCommand", "SpoolJobs", "SpoolProcesses", "SpoolThreads",
                "SpoolWorker",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/Fuzzing", swiftSettings: strict),
        .testTarget(
            name: "FuzzTests", dependencies: ["Fuzzing", "SpoolCommand"], swiftSettings: strict),
        .testTarget(
            name: "TidyTests", dependencies: ["Patience", "Migrations"], swiftSettings: strict),
    ]
        + tutorial.map {
            .executableTarget(
                name: $0, dependencies: ["Spool"], path: "Examples/\($0)", swiftSettings: strict)
        }
        + (isFuzzed ? fuzzers : [])
)
