// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
/// The server, its parser and the types of requests and answers. Hummingbird's router would bring a file system along.
let http: [Target.Dependency] = [
    .product(name: "HummingbirdCore", package: "hummingbird"),
    .product(name: "HTTPTypes", package: "swift-http-types"),
    .product(name: "NIOCore", package: "swift-nio"),
]
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let metrics: Target.Dependency = .product(name: "Metrics", package: "swift-metrics")

// The order is the path of the data; nothing imports what stands below it.
let package = Package(
    name: "reencrypt-secrets",
    products: [
        .library(name: "Envelope", targets: ["Envelope"]),
        .executable(name: "reencrypt-secrets", targets: ["reencrypt-secrets"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        // Without its reader of configuration files and without the whole of Foundation.
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    ],
    targets: [
        .systemLibrary(
            name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CLinux"),
        .target(name: "BlockingIO", swiftSettings: settings),
        .target(name: "Envelope", dependencies: ["COpenSSL"], swiftSettings: settings),
        .target(name: "Postgres", dependencies: ["BlockingIO", "CLibPQ"], swiftSettings: settings),
        .target(
            name: "Redis", dependencies: ["BlockingIO", "CHiredis", "COpenSSL"], swiftSettings: settings),
        .target(
            name: "Catalog",
            dependencies: ["Postgres", .product(name: "Yams", package: "Yams")],
            swiftSettings: settings),
        .target(
            name: "BatchQueue",
            dependencies: ["Redis", .product(name: "DequeModule", package: "swift-collections")],
            resources: [
                "prelude", "lead", "begin_job", "begin_sweep", "enqueue", "claim", "heartbeat",
                "retire_worker", "pace",
                "acknowledge", "hand_back", "split", "bury", "retry_failures", "control", "tick", "census",
                "finish_job",
            ].map { .embedInCode("Redis/Scripts/\($0).lua") },
            swiftSettings: settings),
        .target(
            name: "Verification", dependencies: ["BlockingIO", "Envelope", "Catalog", "Postgres"],
            swiftSettings: settings),
        .target(
            name: "Rotation",
            dependencies: [
                "BlockingIO", "Envelope", "Postgres", "Catalog", "BatchQueue", "Redis", "Verification",
                logging, metrics,
            ],
            swiftSettings: settings),
        .target(
            name: "HTTPService",
            dependencies: http + [
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"), logging,
            ],
            swiftSettings: settings),
        .target(name: "Exposition", dependencies: [metrics], swiftSettings: settings),
        .target(
            name: "Dashboard",
            dependencies: http + [
                "BatchQueue", "Redis", "Exposition", "HTTPService", lifecycle, logging,
            ],
            resources: [
                "page.html", "login.html", "style.css", "controls.html", "dialog.html", "format.js",
                "chart.js", "progress.js", "sections.js", "controls.js", "main.js",
            ].map { .embedInCode("Page/\($0)") },
            swiftSettings: settings),
        .executableTarget(
            name: "reencrypt-secrets",
            dependencies: http + [
                "CLinux", "Envelope", "Postgres", "Redis", "Catalog", "BatchQueue", "Verification",
                "Rotation", "Exposition", "HTTPService", "Dashboard",
                argumentParser, lifecycle, logging, metrics,
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "secret-lifetime-probe", dependencies: ["Envelope"], path: "Tests/SecretLifetimeProbe",
            swiftSettings: settings),
        .target(
            name: "TestSupport", dependencies: ["Catalog", "Envelope", "Postgres"], path: "Tests/TestSupport",
            swiftSettings: settings),
        .testTarget(
            name: "EnvelopeTests", dependencies: ["Envelope", "COpenSSL", "TestSupport"],
            resources: [.copy("Fixtures")], swiftSettings: settings),
        .testTarget(
            name: "PostgresTests", dependencies: ["Postgres", "BlockingIO", "TestSupport"],
            swiftSettings: settings),
        .testTarget(name: "RedisTests", dependencies: ["Redis", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "CatalogTests", dependencies: ["Catalog", "Postgres", "TestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "BatchQueueTests", dependencies: ["BatchQueue", "Redis", "TestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "RotationTests",
            dependencies: [
                "Rotation", "BatchQueue", "Catalog", "Envelope", "Postgres", "Redis", "Verification",
                "TestSupport", logging, metrics,
                .product(name: "MetricsTestKit", package: "swift-metrics"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "VerificationTests",
            dependencies: ["Verification", "Catalog", "Envelope", "Postgres", "TestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "DashboardTests", dependencies: ["Dashboard"], swiftSettings: settings),
        .testTarget(
            name: "ExpositionTests", dependencies: ["Exposition", metrics], swiftSettings: settings),
        .testTarget(
            name: "CommandLineTests",
            dependencies: [
                "reencrypt-secrets", "Envelope", "BatchQueue", "Rotation", "Exposition", "Verification",
                "HTTPService", "TestSupport",
            ],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
