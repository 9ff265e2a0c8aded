import Testing

@testable import Redis

@Suite struct RedisURLTests {
    struct Good: Sendable {
        let url: String
        let target: RedisSettings.Target
        var credentials: RedisCredentials?
        var database = 0
        var tls = false
        var description: String
    }

    private static func tcp(_ host: String, _ port: Int = 6379) -> RedisSettings.Target {
        .server(.tcp(host: host, port: port))
    }

    static let good: [Good] = [
        Good(url: "redis://localhost", target: tcp("localhost"), description: "localhost:6379/0"),
        Good(url: "REDIS://localhost/", target: tcp("localhost"), description: "localhost:6379/0"),
        Good(
            url: "redis://r.example:7000/3", target: tcp("r.example", 7000), database: 3,
            description: "r.example:7000/3"),
        Good(
            url: "redis://:s3cret@10.0.0.7/12", target: tcp("10.0.0.7"),
            credentials: RedisCredentials(user: nil, password: "s3cret"), database: 12,
            description: "10.0.0.7:6379/12"),
        Good(
            url: "redis://worker:s%40c%3Ar%2Fe%25t@[::1]:6380", target: tcp("::1", 6380),
            credentials: RedisCredentials(user: "worker", password: "s@c:r/e%t"), description: "[::1]:6380/0"),
        Good(
            url: "redis://worker:a:b@h", target: tcp("h"),
            credentials: RedisCredentials(user: "worker", password: "a:b"), description: "h:6379/0"),
        Good(
            url: "redis://nopass@h", target: tcp("h"),
            credentials: RedisCredentials(user: "nopass", password: ""),
            description: "h:6379/0"),
        Good(
            url: "rediss://:%F0%9F%94%91@h:6380/1", target: tcp("h", 6380),
            credentials: RedisCredentials(user: nil, password: "🔑"), database: 1, tls: true,
            description: "h:6380/1"),
        Good(
            url: "unix:///run/redis%20a.sock?db=2", target: .server(.unix(path: "/run/redis a.sock")),
            database: 2, description: "/run/redis a.sock?db=2"),
        Good(
            url: "unix://u:p@/run/redis.sock", target: .server(.unix(path: "/run/redis.sock")),
            credentials: RedisCredentials(user: "u", password: "p"), description: "/run/redis.sock?db=0"),
        Good(
            url: "redis+sentinel://:pw@s1,s2:26380,[fe80::2]:1/my-master/4",
            target: .sentinels(
                [
                    .tcp(host: "s1", port: 26379), .tcp(host: "s2", port: 26380),
                    .tcp(host: "fe80::2", port: 1),
                ], master: "my-master"),
            credentials: RedisCredentials(user: nil, password: "pw"), database: 4,
            description: "my-master of s1:26379,s2:26380,[fe80::2]:1/4"),
        Good(
            url: "rediss+sentinel://s1/m", target: .sentinels([.tcp(host: "s1", port: 26379)], master: "m"),
            tls: true, description: "m of s1:26379/0"),
    ]

    @Test(arguments: good) func everyFormOfAddressIsRead(_ good: Good) throws {
        let settings = try RedisSettings(url: good.url)
        #expect(settings.target == good.target)
        #expect(settings.credentials == good.credentials)
        #expect(settings.database == good.database)
        #expect((settings.tls != nil) == good.tls)
        #expect(settings.description == good.description)
    }

    @Test func readsTheFilesOfTLS() throws {
        let settings = try RedisSettings(
            url: "rediss://h?ca_file=/a%20b/ca.pem&cert_file=/c.pem&key_file=/k.pem&ca_dir=/cas")
        #expect(settings.tls?.authorityFile == "/a b/ca.pem")
        #expect(settings.tls?.authorityFolder == "/cas")
        #expect(settings.tls?.certificateFile == "/c.pem")
        #expect(settings.tls?.keyFile == "/k.pem")
    }

    @Test func readsTheSentinelsOwnCredentials() throws {
        let settings = try RedisSettings(
            url: "redis+sentinel://u:p@s1/m?sentinel_user=watch&sentinel_password=w%26w")
        #expect(settings.sentinelCredentials == RedisCredentials(user: "watch", password: "w&w"))
        #expect(settings.credentials == RedisCredentials(user: "u", password: "p"))
    }

    /// `SECRET` stands for the password; no message may hold it, nor any other part of the URL.
    static let bad: [(String, part: String)] = [
        ("", "scheme"), ("SECRET", "scheme"), ("http://:SECRET@h", "scheme"), ("redis:/SECRET", "scheme"),
        ("://SECRET", "scheme"), ("redis//SECRET@h:1", "scheme"),
        ("redis://", "host"), ("redis://:SECRET@", "host"), ("redis://:SECRET@:6379", "host"),
        ("redis://:SECRET@h:0", "port"), ("redis://:SECRET@h:65536", "port"),
        ("redis://:SECRET@h:+1", "port"), ("redis://:SECRET@h:", "port"), ("redis://:SECRET@h:6379x", "port"),
        ("redis://:SECRET@[::1", "host"), ("redis://:SECRET@::1", "port"), ("redis://:SECRET@[h]", "host"),
        ("redis://:SECRET@-h", "host"), ("redis://:SECRET@h%41", "host"), ("redis://:SECRET@h1,h2", "host"),
        ("redis://:SECRET@h/x", "database"), ("redis://:SECRET@h/-1", "database"),
        ("redis://:SECRET@h/1/2", "database"), ("redis://:SECRET@h/99999999999999999999", "database"),
        ("redis://:SEC/RET@h/0", "port"), ("redis://:SECRET?x@h", "port"), ("redis://:12?SECRET@h", "host"),
        ("redis://:SECRET@h#x", "'#'"), ("redis://:SECRET#x@h", "'#'"), ("redis://:SEC@SECRET@h", "'@'"),
        ("redis://:SECRET%@h", "percent"), ("redis://:SECRET%4@h", "percent"),
        ("redis://:SECRET%zz@h", "percent"), ("redis://:SECRET%00@h", "percent"),
        ("redis://:SECRET%ff@h", "percent"), ("redis://:@h", "empty"), ("redis://@h", "empty"),
        ("redis://:SECRET @h", "white space"), ("redis://:SECRET\n@h", "white space"),
        ("redis://:SECRÉT@h", "ASCII"), ("redis://:SECRET@h\u{0}", "white space"),
        ("redis://:SECRET@h?db=1", "rediss://"), ("redis://:SECRET@h?ca_file=/x", "rediss://"),
        ("rediss://:SECRET@h?SECRET=1", "unknown query parameter"),
        ("rediss://:SECRET@h?ca_file", "no value"), ("rediss://:SECRET@h?ca_file=%", "percent"),
        ("rediss://:SECRET@h?ca_file=a&ca_file=b", "twice"),
        ("rediss://:SECRET@h?key_file=SECRET", "key_file stands without cert_file"),
        ("unix://:SECRET@", "path"), ("unix:///", "path"), ("unix://:SECRET@h/sock", "host"),
        ("unix://:SECRET@/s?db=x", "database"), ("unix://:SECRET@/s?ca_file=x", "it takes db"),
        ("unix:///" + String(repeating: "x", count: 107), "exceeds 107 bytes"),
        ("redis+sentinel://:SECRET@s1", "master"), ("redis+sentinel://:SECRET@s1/", "master"),
        ("redis+sentinel://:SECRET@/m", "sentinel"), ("redis+sentinel://:SECRET@s1,,s2/m", "sentinel"),
        ("redis+sentinel://:SECRET@s1:x/m", "sentinel"), ("redis+sentinel://:SECRET@s1/m/x", "database"),
        ("redis+sentinel://:SECRET@s1/m/0/1", "path"),
        ("redis+sentinel://:SECRET@s1/m?sentinel_user=SECRET", "sentinel_password"),
        ("redis+sentinel://:SECRET@s1/m?ca_file=x", "sentinel_password"),
    ]

    @Test(arguments: bad) func aWrongAddressIsRefusedAndItsPartNamed(_ url: String, part: String) throws {
        let error = try #require(throws: RedisError.self) { try RedisSettings(url: url) }
        #expect(error.code == .invalidSettings)
        #expect(!error.isRetriable)
        #expect(error.description.contains(part), "\(error)")
        #expect(!error.description.contains("SEC"), "\(error)")
        #expect(error.description.contains("expected"))
    }

    @Test func noTruncationOfAGoodUrlCrashesOrTellsThePassword() {
        let url =
            "rediss+sentinel://u%41:hunter%42two@s1:26379,[::1]:2/m/3?sentinel_password=hidden&ca_file=/x"
        for count in 0...url.count {
            for insert in ["", "%", "@", ":", "/", "?", "[", ",", "&", "\u{7F}"] {
                do throws(RedisError) {
                    let settings = try RedisSettings(
                        url: url.prefix(count) + insert + url.dropFirst(count + 1))
                    #expect(!settings.description.contains("hunter"))
                } catch {
                    #expect(!error.description.contains("hunter") && !error.description.contains("hidden"))
                }
            }
        }
    }

    @Test func nothingShowsThePassword() throws {
        let settings = try RedisSettings(url: "redis+sentinel://joe:hunter2@h/m?sentinel_password=hunter3")
        var dumped = ""
        dump(settings, to: &dumped)
        dump(settings.credentials, to: &dumped)
        let shown = "\(settings) \(String(reflecting: settings)) \(settings.credentials as Any) \(dumped)"
        #expect(!shown.contains("hunter"))
        #expect(!shown.contains("joe"))
    }
}
