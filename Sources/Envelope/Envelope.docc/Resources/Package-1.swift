// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "service",
    dependencies: [
        .package(url: "https://git.example.com/reencrypt-secrets.git", .upToNextMinor(from: "0.1.0"))
    ],
    targets: [
        .executableTarget(
            name: "service", dependencies: [.product(name: "Envelope", package: "reencrypt-secrets")])
    ]
)
