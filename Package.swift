// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

// What --version says of the source; "make static" gives it. A build without it says nothing.
let commit = Context.environment["CT_SYNC_COMMIT"] ?? ""

let package = Package(
    name: "ct_sync",
    products: [
        .library(name: "CTSync", targets: ["CTSync"]),
        .library(name: "ConntrackdImport", targets: ["ConntrackdImport"]),
        .executable(name: "ct_sync", targets: ["ct_sync"]),
        .executable(name: "ct_sync-exporter", targets: ["ct_sync-exporter"]),
    ],
    dependencies: [
        // Flags, subcommands, --help and --version of the executable.
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        // The logging interface; the back end with journal priorities is ours.
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        // The HTTP server of ct_sync-exporter; the daemon does not link it.
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
    ],
    targets: [
        // Opens the ctnetlink sockets; its parser is the yardstick of our event reader in tests.
        .systemLibrary(
            name: "CNetfilterConntrack", pkgConfig: "libnetfilter_conntrack",
            providers: [.apt(["libnetfilter-conntrack-dev"])]),
        // Sizes the netlink buffers beneath libnetfilter_conntrack.
        .systemLibrary(
            name: "CNfnetlink", pkgConfig: "libnfnetlink",
            providers: [.apt(["libnfnetlink-dev"])]),
        // Puts our nftables tables on and off in one transaction, without starting a program.
        .systemLibrary(
            name: "CNftables", pkgConfig: "libnftables",
            providers: [.apt(["libnftables-dev"])]),
        // Seals the packets of the sync link: AES-256-GCM of OpenSSL 3, in place, without allocating.
        .systemLibrary(
            name: "CLibcrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(
            name: "CCTSyncShims", dependencies: ["CLibcrypto"],
            cSettings: [.define("CT_SYNC_COMMIT", to: "\"\(commit)\"")]),
        .target(
            name: "CTSync",
            dependencies: [
                "CCTSyncShims", "CNetfilterConntrack", "CNfnetlink", "CNftables",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        // Reads conntrackd's configuration and writes ours: for the command line only.
        .target(name: "ConntrackdImport", swiftSettings: strict),
        .executableTarget(
            name: "ct_sync",
            dependencies: [
                "ConntrackdImport", "CTSync",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        // A process of its own: the metrics and the page of a node by HTTP.
        .executableTarget(
            name: "ct_sync-exporter",
            dependencies: [
                "CTSync",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict),
        // Counts allocations, for the tests that show that the data path makes none.
        .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
        // What the thread sanitizer has to be shown.
        .target(name: "SanitizerSupport", path: "Tests/SanitizerSupport"),
        // The library's own parser beside our readers, and the corpus that both read.
        .target(
            name: "LibraryReader", dependencies: ["CNetfilterConntrack", "CTSync"],
            path: "Tests/LibraryReader", swiftSettings: strict),
        .testTarget(
            name: "CTSyncTests",
            dependencies: [
                "AllocationCounter", "CTSync", "CCTSyncShims", "LibraryReader", "SanitizerSupport",
                .product(name: "Logging", package: "swift-log"),
            ],
            exclude: ["Ctnetlink/Corpus"], swiftSettings: strict),
        .testTarget(
            name: "ConntrackdImportTests", dependencies: ["ConntrackdImport", "CTSync"],
            exclude: ["conntrackd"], swiftSettings: strict),
        // What needs root: against the kernel, in network namespaces of the tests' own.
        .testTarget(
            name: "KernelTests",
            dependencies: [
                "AllocationCounter", "CTSync", "CCTSyncShims", "CTSyncTests", "LibraryReader",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        // Hosts, links, traffic and daemons in network namespaces, for the cluster tests and the demo.
        .target(
            name: "ClusterSupport",
            dependencies: ["CCTSyncShims", "CNetfilterConntrack"],
            path: "Tests/ClusterSupport", swiftSettings: strict),
        .executableTarget(
            name: "demo", dependencies: ["ClusterSupport"], path: "Tests/Demo",
            swiftSettings: strict),
        .executableTarget(
            name: "bench-comparison", dependencies: ["CCTSyncShims", "CTSync", "ClusterSupport"],
            path: "Benchmarks/Comparison", swiftSettings: strict),
        .testTarget(
            name: "ClusterTests",
            dependencies: [
                "CNetfilterConntrack", "CTSync", "ClusterSupport", "LibraryReader", "ct_sync",
                "ct_sync-exporter",
            ],
            swiftSettings: strict),
    ]
)

// It looks behind the library's face, which only a build with -enable-testing lets it:
// `make bench-instructions`.
if Context.environment["CT_SYNC_INSTRUCTIONS"] != nil {
    package.targets.append(
        .executableTarget(
            name: "bench-instructions", dependencies: ["CTSync", "LibraryReader"],
            path: "Benchmarks/Instructions", exclude: ["limits", "run"], swiftSettings: strict))
}

// What needs neither root nor the executables, for builds that run nothing else: `make sanitized`.
if Context.environment["CT_SYNC_UNIT"] != nil {
    let unit: Set = [
        "CNetfilterConntrack", "CNfnetlink", "CNftables", "CLibcrypto", "CCTSyncShims", "CTSync",
        "ConntrackdImport", "AllocationCounter", "SanitizerSupport", "LibraryReader", "CTSyncTests",
        "ConntrackdImportTests",
    ]
    package.targets.removeAll { !unit.contains($0.name) }
    package.products.removeAll { !unit.contains($0.name) }
}
