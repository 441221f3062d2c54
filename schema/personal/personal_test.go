package personal

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestNames: names and comments as systems of schools have them, and those that only look
// like them.
func TestNames(t *testing.T) {
	for name, want := range map[string]Kind{
		"SFZJH": IDNumber, "sfzjh": IDNumber, "xs_sfzh": IDNumber, "id_card_no": IDNumber, "IdCard": IDNumber, "身份证件号": IDNumber, "passportNo": IDNumber,
		"XJH": StudentNumber, "yhkh": BankCard, "bank_account": BankCard, "JKZKM": Health, "bloodType": Health, "既往病史": Health, "zp": Biometric, "photo_url": Biometric, "xyzjm": Religion, "MZM": Ethnicity, "mz": Ethnicity,
		"ZZMMM": Politics, "jtsr": Income, "XM": Name, "xm": Name, "xsxm": Name, "f_xm": Name, "XMPY": Name, "student_name": Name, "fullName": Name, "曾用名": Name,
		"sjhm": Phone, "sjhm1": Phone, "LXDH": Phone, "jz_lxdh": Phone, "mobile": Phone, "mobilePhone": Phone, "dzyx": Email, "e_mail": Email, "email": Email, "jtzz": Address, "home_address": Address, "CSRQ": Birth, "dateOfBirth": Birth, "出生年月": Birth,
		"xm_id": "", "xmmc": "", "xmbh": "", "name": "", "xxmc": "", "xh": "", "id": "", "ip_address": "", "email_address": Email, "mac_address": "", "file_name": "", "bjmc": "", "kcmc": "", "create_time": "", "photon": "", "telemetry": "", "reborn": "",
		"healthcheck": "", "nation_code_of_export": "", "": "", "学校名称": "", "\xff\xfe": "", "😀": "",
	} {
		if got := ofName(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	for comment, want := range map[string][]Kind{
		"学生姓名": {Name}, "监护人手机号": {Name, Phone}, "家庭住址（门牌号）": {Address}, "ID number of the guardian": {IDNumber, Name}, "单位\n01 民族 02 其他": nil, "项目名称": nil, strings.Repeat("长", 120) + "姓名": nil,
	} {
		if got := ofComment(comment); !slices.Equal(got, want) {
			t.Errorf("%q is %q, want %q", comment, got, want)
		}
	}
}

// TestForms: values of each form, and those of codes, times and counters. The id numbers
// are the standard's own examples.
func TestForms(t *testing.T) {
	for value, want := range map[string][]Kind{
		"11010519491231002X": {IDNumber}, "11010519491231002x": {IDNumber}, "440524188001010014": {IDNumber}, "证件 440524188001010014 已核": {IDNumber}, "440524188001010015": nil, "440524188013010014": nil, "044052418800101001": nil,
		"G440524188001010014": {IDNumber, StudentNumber}, "L440524188001010019": {StudentNumber}, "G440524188001010015": nil,
		"13800138000": {Phone}, "+86 138-0013-8000": {Phone}, "8613800138000": {Phone}, "家长 13800138000 晚上接听": {Phone}, "12800138000": nil, "138001380001": nil, "1380013800X": nil, "0571-87654321": nil,
		"a.b@example.edu.cn": {Email}, "联系 x_1@qq.com。": {Email}, "@someone": nil, "a@b": nil, "a@.cn": nil, "两@个@": nil,
		"6222020200112230005": nil, "6222 0202 0011 2235": nil, "4111111111111111": {BankCard}, "6212345678901232": {BankCard}, "1111111111111117": nil, "20260901120000123": nil,
		"王小明": {Name}, "李雷": {Name}, "欧阳娜娜": {Name}, "张王子涵": {Name}, "张高子涵": {Name}, "阿卜杜拉·买买提": {Name}, "高中部": nil, "江苏省": nil, "王": nil, "教务处": nil, "语文": nil, "Wang": nil, "·": nil, "····": nil, "王a明": nil,
		"支气管哮喘，随身带药": {Health}, "对花生过敏": {Health}, "asthma": {Health}, "健康": nil, "良好": nil,
		"浙江省杭州市西湖区文三路 138 号": {Address}, "西湖区翠苑小区 3 栋": {Address}, "西湖区": nil, "城市花园": nil, "市一中 3 班": nil,
		"": nil, " ": nil, "2026-09-01": nil, "0": nil, "\xff\xff\xff": nil,
	} {
		var got []Kind
		for k, c := range ofForm([]string{value}) {
			if c.has > 0 {
				got = append(got, k)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q has the forms %q, want %q", value, got, want)
		}
	}
}

// TestCheckDigits: no single wrong digit and no two neighbours that changed places pass for
// an id number (ISO 7064 MOD 11-2), and no single wrong digit for a bank card (Luhn).
func TestCheckDigits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		body := fmt.Sprintf("%06d%04d%02d%02d%03d", 110000+r.IntN(700000), 1950+r.IntN(70), 1+r.IntN(12), 1+r.IntN(28), r.IntN(1000))
		sum := 0
		for i, w := range weights {
			sum += w * int(body[i]-'0')
		}
		id := body + string(checks[sum%11])
		if !isIDNumber(id) {
			t.Fatalf("%s isn't valid", id)
		}
		at, digit := r.IntN(17), byte('0'+r.IntN(10))
		if wrong := id[:at] + string(digit) + id[at+1:]; wrong != id && isIDNumber(wrong) {
			t.Errorf("%s passes for %s", wrong, id)
		}
		if wrong := id[:at] + string(id[at+1]) + string(id[at]) + id[at+2:]; wrong != id && isIDNumber(wrong) {
			t.Errorf("%s passes for %s", wrong, id)
		}
		number, passes := fmt.Sprintf("62%013d", r.Int64N(1e13)), 0
		for d := range 10 {
			if isBankCard(number + fmt.Sprint(d)) {
				passes++
			}
		}
		if passes != 1 {
			t.Errorf("%d check digits of %s are right", passes, number)
		}
	}
}

// TestGuess: what a column is suspected of, by all that is known of it.
func TestGuess(t *testing.T) {
	names := []string{"王小明", "李雷", "韩梅梅", "赵敏", ""}
	for name, tt := range map[string]struct {
		column Column
		want   []Hint
	}{
		"nothing":            {Column{Name: "xxmc", Comment: "学校名称", Values: []string{"第一小学", "实验中学"}}, nil},
		"name only":          {Column{Name: "XM"}, []Hint{{"XM", Name, []Reason{ByName}, 0}}},
		"all reasons":        {Column{"XM", "姓名", names}, []Hint{{"XM", Name, []Reason{ByName, ByComment, ByForm}, 1}}},
		"form only":          {Column{"c7", "", names}, []Hint{{"c7", Name, []Reason{ByForm}, 1}}},
		"one name, repeated": {Column{"c7", "", []string{"高飞", "高飞", "高飞"}}, nil},
		"remarks":            {Column{"bz", "备注", append(make([]string, 0), "13800138000 家长", "无", "无", "转学", "走读", "无", "无", "无")}, []Hint{{"bz", Phone, []Reason{ByForm}, 0.13}}},
		"two kinds":          {Column{"memo", "", []string{"440524188001010014 13800138000"}}, []Hint{{"memo", IDNumber, []Reason{ByForm}, 1}, {"memo", Phone, []Reason{ByForm}, 1}}},
		"name, other values": {Column{"phone", "", []string{"x", "y"}}, []Hint{{"phone", Phone, []Reason{ByName}, 0}}},
	} {
		got := Guess(tt.column)
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	many := make([]string, 1000)
	many[3] = "440524188001010014"
	for i := range many {
		if i != 3 {
			many[i] = fmt.Sprint("k", i)
		}
	}
	if c := ofForm(many)[IDNumber]; c.share() != 0.01 || c.tells(IDNumber) {
		t.Errorf("one of a thousand: %+v, %v", c, c.share())
	}
}

// FuzzGuess: whatever a column holds, the hints are well formed and have no part of a value.
func FuzzGuess(f *testing.F) {
	for _, seed := range [][3]string{{"SFZJH", "身份证件号", "11010519491231002X"}, {"备注", "", "王小明 13800138000\nG440524188001010014"}, {"dateOfBirth", "x", "浙江省杭州市西湖区文三路 138 号"}, {"\xff", "\xf0", "a@b.cn\xff·"}, {"e_mail", "", "4111111111111111"}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, name, comment, value string) {
		seen := map[Kind]bool{}
		for _, h := range Guess(Column{Name: name, Comment: comment, Values: strings.Split(value, "\n")}) {
			if h.Column != name || seen[h.Kind] || !slices.Contains(Kinds, h.Kind) || len(h.Reasons) == 0 || h.Share < 0 || h.Share > 1 {
				t.Errorf("%+v", h)
			}
			if slices.Contains(h.Reasons, ByForm) && h.Share == 0 {
				t.Errorf("by form, of no value: %+v", h)
			}
			seen[h.Kind] = true
		}
	})
}
