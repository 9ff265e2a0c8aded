import Testing

@testable import Dashboard

struct AccessTokenTests {
    @Test(arguments: [
        "", "fifteen-bytes-!", "with a space 0123456789", "semicolon;0123456789", "quote\"0123456789abc",
    ])
    func refused(_ text: String) {
        #expect(AccessToken(text) == nil)
    }

    @Test func matchesItselfAlone() throws {
        let token = try #require(AccessToken("0123456789abcdef"))
        #expect(token.matches("0123456789abcdef"))
        for other in ["", "0123456789abcde", "0123456789abcdefg", "0123456789abcdeF", "\u{0}123456789abcdef"]
        {
            #expect(!token.matches(other))
        }
    }
}

struct DashboardPageTests {
    @Test func ordersAreInThePageOnlyWhereTheyAreAllowed() {
        let without = DashboardPage(allowsControl: false).html(nonce: "n")
        #expect(
            !without.contains("data-order") && !without.contains("control/") && !without.contains("<dialog"))
        let with = DashboardPage(allowsControl: true).html(nonce: "n")
        #expect(with.contains("data-order") && with.contains("control/") && with.contains("<dialog"))
    }

    @Test func everyPlaceIsFilled() {
        for page in [
            DashboardPage(allowsControl: true).html(nonce: "n"),
            DashboardPage.login(nonce: "n", wasRefused: true),
        ] {
            #expect(!page.contains("{{"))
        }
    }
}
