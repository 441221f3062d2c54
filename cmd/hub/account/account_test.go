package account

import (
	"strings"
	"testing"
)

func TestMay(t *testing.T) {
	city := Grant{Role: Operator, Org: "330100", Path: "33/330100/"}
	for name, tt := range map[string]struct {
		grants []Grant
		act    Act
		path   string
		want   bool
	}{
		"below":          {[]Grant{city}, Invite, "33/330100/330106/", true},
		"itself":         {[]Grant{city}, Invite, "33/330100/", true},
		"above":          {[]Grant{city}, Invite, "33/", false},
		"beside":         {[]Grant{city}, Invite, "33/330200/", false},
		"a longer code":  {[]Grant{city}, Invite, "33/3301001/", false},
		"another act":    {[]Grant{city}, Decide, "33/330100/", false},
		"the whole tree": {[]Grant{{Role: Approver}}, Decide, "33/330200/", true},
		"not the whole":  {[]Grant{city}, Invite, "", false},
		"nobody":         {nil, See, "33/", false},
		"a viewer":       {[]Grant{{Role: Viewer}}, Administer, "33/", false},
		"administrator":  {[]Grant{{Role: Administrator}}, Decide, "33/", false},
		"no audit":       {[]Grant{{Role: Administrator}}, Audit, "", false},
		"unknown role":   {[]Grant{{Role: "root"}}, See, "", false},
	} {
		a := Account{Grants: tt.grants}
		if a.May(tt.act, tt.path) != tt.want {
			t.Errorf("%s: not %v", name, tt.want)
		}
	}
}

func TestFits(t *testing.T) {
	for name, tt := range map[string]struct {
		grants []Grant
		want   bool
	}{
		"none":          {nil, true},
		"two":           {[]Grant{{Role: Operator, Org: "1"}, {Role: Viewer}}, true},
		"auditor alone": {[]Grant{{Role: Auditor}}, true},
		"auditor too":   {[]Grant{{Role: Auditor}, {Role: Viewer}}, false},
		"twice":         {[]Grant{{Role: Viewer}, {Role: Viewer, Path: "x/"}}, false},
		"unknown":       {[]Grant{{Role: "root"}}, false},
	} {
		if Fits(tt.grants) != tt.want {
			t.Errorf("%s: not %v", name, tt.want)
		}
	}
}

func TestPasswords(t *testing.T) {
	kept := Hash("correct horse battery")
	if !strings.HasPrefix(kept, "$argon2id$v=19$m=19456,t=2,p=1$") || kept == Hash("correct horse battery") {
		t.Error(kept)
	}
	for password, want := range map[string]bool{"correct horse battery": true, "correct horse batterz": false, "": false, strings.Repeat("x", 300): false} {
		if Matches(kept, password) != want {
			t.Errorf("%.30q: not %v", password, want)
		}
	}
	for _, broken := range []string{"", "x", "$argon2id$v=19$m=19456,t=2,p=1$", "$argon2i$v=19$m=65536,t=3,p=2$AAAA$AAAA", "$argon2id$v=19$m=99999999,t=3,p=2$AAAA$AAAA", "$argon2id$v=19$m=64,t=0,p=0$AAAA$AAAA"} {
		if Matches(broken, "") || Matches(broken, "x") {
			t.Errorf("%q matches", broken)
		}
	}
	for password, want := range map[string]bool{"twelve chars": true, "一二三四五六七八九十十一": true, "short": false, "aaaaaaaaaaaaaa": false, "administrator": false, "\xff23456789012": false} {
		if GoodPassword("Administrator", password) != want {
			t.Errorf("%q: not %v", password, want)
		}
	}
	if a, b := Secret(), Secret(); a == b || len(a) < 26 || string(Digest(a)) == string(Digest(b)) {
		t.Error("secrets repeat")
	}
}
