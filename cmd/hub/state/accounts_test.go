package state

import (
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/test/servers"
)

const password = "correct horse battery"

func testLinks(t *testing.T, db servers.DB) {
	r := newRig(t, db)
	first, err := r.FirstLink(t.Context())
	ok(t, err)
	second, err := r.FirstLink(t.Context())
	ok(t, err)
	if first == "" || first == second {
		t.Fatal("no new link")
	}
	refused(t, r.UseLink(t.Context(), By{}, first, password), "LINK_INVALID")
	refused(t, r.UseLink(t.Context(), By{}, second, "short"), "PASSWORD_WEAK")
	ok(t, r.UseLink(t.Context(), By{}, second, password))
	refused(t, r.UseLink(t.Context(), By{}, second, password), "LINK_INVALID")
	if none, err := r.FirstLink(t.Context()); err != nil || none != "" {
		t.Errorf("%q, %v: there is an administrator", none, err)
	}
	late := r.person("late", account.Grant{Role: account.Viewer})
	r.pass(25 * time.Hour)
	refused(t, r.UseLink(t.Context(), By{}, late, password), "LINK_INVALID")
}

func testLogins(t *testing.T, db servers.DB) {
	r := newRig(t, db)
	ok(t, r.UseLink(t.Context(), By{}, r.person("li", account.Grant{Role: account.Viewer}), password))
	here, there := By{Name: "li", Address: "10.0.0.1"}, By{Name: "li", Address: "10.0.0.2"}
	for range perBoth {
		_, err := r.Login(t.Context(), here, "wrong password")
		refused(t, err, "LOGIN_FAILED")
	}
	_, err := r.Login(t.Context(), here, password)
	refused(t, err, "LOGIN_TOO_OFTEN")
	if _, err := r.Login(t.Context(), there, password); err != nil {
		t.Errorf("another address is shut out, too: %v", err)
	}
	_, err = r.Login(t.Context(), By{Name: "nobody", Address: "10.0.0.2"}, password)
	refused(t, err, "LOGIN_FAILED")
	r.pass(window + time.Second)
	if _, err := r.Login(t.Context(), here, password); err != nil {
		t.Errorf("after the window: %v", err)
	}
	found, err := r.Audit(t.Context(), whole, Search{Text: "login"})
	if err != nil || len(found) != perBoth+3 {
		t.Errorf("%d entries, %v", len(found), err)
	}
}

func testSessions(t *testing.T, db servers.DB) {
	r := newRig(t, db)
	ok(t, r.UseLink(t.Context(), By{}, r.person("li", account.Grant{Role: account.Viewer}), password))
	by := By{Name: "li", Address: "10.0.0.1"}
	login := func() string {
		t.Helper()
		secret, err := r.Login(t.Context(), by, password)
		ok(t, err)
		return secret
	}
	gone := func(secret string) {
		t.Helper()
		_, err := r.Session(t.Context(), secret, ByPerson)
		refused(t, err, "LOGIN_NEEDED")
	}
	s := login()
	for range 5 { // used again and again
		r.pass(29 * time.Minute)
		if _, err := r.Session(t.Context(), s, ByPerson); err != nil {
			t.Fatal(err)
		}
	}
	r.pass(31 * time.Minute)
	gone(s)
	s = login()
	for range 24 {
		r.pass(29 * time.Minute)
		_, _ = r.Session(t.Context(), s, ByPerson)
	}
	r.pass(25 * time.Minute)
	gone(s) // 12 hours
	s = login()
	for range 2 { // a page that is left open
		r.pass(16 * time.Minute)
		_, _ = r.Session(t.Context(), s, ByPage)
	}
	gone(s)
	s = login()
	ok(t, r.Logout(t.Context(), by, s))
	gone(s)
	s = login()
	refused(t, r.ChangePassword(t.Context(), by, "wrong password", "another good one"), "LOGIN_FAILED")
	ok(t, r.ChangePassword(t.Context(), by, password, "another good one"))
	gone(s)
	for _, secret := range []string{"", "x"} {
		gone(secret)
	}
	secret, err := r.Login(t.Context(), by, "another good one")
	ok(t, err)
	ok(t, r.SetActive(t.Context(), root, whole, "li", false))
	gone(secret)
	_, err = r.Login(t.Context(), by, "another good one")
	refused(t, err, "LOGIN_FAILED")
}

func testGrants(t *testing.T, db servers.DB) {
	r := settled(t, db)
	city := []string{"33/3301/"}
	boss := By{Name: "boss"}
	r.person("boss", account.Grant{Role: account.Administrator, Org: "3301"})
	make := func(name string, grants ...account.Grant) error {
		_, err := r.CreateAccount(t.Context(), boss, city, account.Account{Name: name, Title: "某人", Grants: grants})
		return err
	}
	ok(t, make("wang", account.Grant{Role: account.Viewer, Org: "330106"}))
	refused(t, make("wang", account.Grant{Role: account.Viewer, Org: "330106"}), "ACCOUNT_EXISTS")
	refused(t, make("xx", account.Grant{Role: account.Viewer, Org: "3302"}), "ORG_UNKNOWN")
	refused(t, make("xx", account.Grant{Role: account.Viewer}), "NOT_ALLOWED")
	refused(t, make("xx"), "ACCOUNT_GRANTS")
	refused(t, make("xx", account.Grant{Role: "root", Org: "330106"}), "ACCOUNT_GRANTS")
	refused(t, make("xx", account.Grant{Role: account.Auditor, Org: "3301"}, account.Grant{Role: account.Viewer, Org: "3301"}), "ACCOUNT_GRANTS")
	refused(t, make("<script>", account.Grant{Role: account.Viewer, Org: "330106"}), "ACCOUNT_NAME")
	refused(t, r.SetGrants(t.Context(), boss, city, "op", []account.Grant{{Role: account.Viewer, Org: "3301"}}), "ACCOUNT_UNKNOWN")
	refused(t, r.SetGrants(t.Context(), boss, city, "boss", []account.Grant{{Role: account.Approver, Org: "3301"}}), "ACCOUNT_OWN")
	refused(t, r.SetActive(t.Context(), boss, city, "ap", false), "ACCOUNT_UNKNOWN")
	ok(t, r.SetGrants(t.Context(), boss, city, "wang", []account.Grant{{Role: account.Approver, Org: "3301"}}))
	if _, err := r.Relink(t.Context(), boss, city, "wang"); err != nil {
		t.Error(err)
	}
	seen, err := r.Accounts(t.Context(), city)
	if err != nil || len(seen) != 2 || seen[1].Name != "wang" || seen[1].Grants[0].Role != account.Approver {
		t.Errorf("%+v, %v", seen, err)
	}
}
