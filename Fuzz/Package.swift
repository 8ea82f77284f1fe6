// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that no build of the daemon or of its tests contains the fuzzers; `make
// fuzz` builds it with -sanitize=fuzzer,address.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .unsafeFlags(["-parse-as-library"]),
]

/// A fuzzer: one file with the function that is given what libFuzzer makes.
func fuzzer(_ name: String, with others: [String] = []) -> Target {
    let products: [Target.Dependency] = (["CTSync"] + others).map {
        .product(name: $0, package: "ct_sync")
    }
    return .executableTarget(
        name: name, dependencies: ["FuzzSupport"] + products, swiftSettings: settings)
}

let package = Package(
    name: "fuzz",
    dependencies: [.package(name: "ct_sync", path: "..")],
    targets: [
        .target(name: "CFuzzer"),
        .target(name: "FuzzSupport", dependencies: ["CFuzzer"], swiftSettings: settings),
        fuzzer("fuzz-packets"),
        fuzzer("fuzz-sealed"),
        fuzzer("fuzz-ctnetlink"),
        fuzzer("fuzz-configuration"),
        fuzzer("fuzz-rules"),
        fuzzer("fuzz-control"),
        fuzzer("fuzz-import", with: ["ConntrackdImport"]),
        fuzzer("fuzz-files"),
    ]
)
