package personal

import (
	"slices"
	"strings"
	"unicode"
)

// initials are names of columns by the first letters of pinyin, as JY/T 1002 and the
// education ministry's systems have them. Those of two letters mean other things, too, so
// they count only as the last word of a name.
var initials = map[Kind][]string{
	IDNumber:      {"sfzjh", "sfzh", "sfzhm", "sfzjhm", "sfz", "zjhm", "gmsfhm", "sfhm", "hzhm", "hzh"},
	StudentNumber: {"xjh", "xjfh", "qgxjh", "xsxjh"},
	BankCard:      {"yhkh", "yhzh", "yhkhm", "yhkzh", "gzkh"},
	Health:        {"jkzk", "jkzkm", "jwbs", "bs", "gms", "cjlx", "cjlxm", "cjzh", "sfcj", "ycbs", "xuex", "jzs", "bmjzs"},
	Biometric:     {"zp", "xp", "zpdz", "rlxx", "zwxx"},
	Religion:      {"xyzj", "xyzjm", "zjxy"},
	Ethnicity:     {"mz", "mzm", "mzdm"},
	Politics:      {"zzmm", "zzmmm", "zzmmdm"},
	Income:        {"jtsr", "jtnsr", "jtrjsr", "jtsrly", "sfpkh", "pkdj", "kndj", "sfdb", "jdlk", "dszn", "sfge", "sflset", "sfjldk"},
	Name:          {"xm", "xsxm", "jsxm", "jzxm", "jzgxm", "fqxm", "mqxm", "jhrxm", "lxrxm", "cyxm", "xmpy", "ywxm", "cym", "lxr", "jhr", "bzrxm", "xzxm"},
	Phone:         {"sjhm", "sjh", "lxdh", "dhhm", "yddh", "jtdh", "gddh", "lxfs", "lxsj", "jzdh", "jhrdh", "jhrlxdh", "bgdh", "zzdh"},
	Email:         {"dzyx", "dzxx", "yxdz", "dzyj"},
	Address:       {"jtzz", "jtdz", "xzz", "xjzd", "jzd", "jzdz", "hjdz", "hkszd", "hkdz", "txdz", "lxdz", "xxzz", "csd", "csdm", "zzdz"},
	Birth:         {"csrq", "csny", "csnyr", "chsrq"},
}

// spelled are words of names in English and in whole pinyin. Several words stand one
// after the other.
var spelled = map[Kind][]string{
	IDNumber:      {"id card", "idcard", "id number", "identity card", "identity number", "identity no", "citizen id", "national id", "passport", "passport no", "shenfenzheng", "shenfenzhenghao", "zhengjianhao", "zhengjianhaoma"},
	StudentNumber: {"enrolment number", "enrollment number", "xuejihao"},
	BankCard:      {"bank card", "bankcard", "bank account", "card number", "yinhangka", "yinhangkahao"},
	Health:        {"health", "disease", "illness", "allergy", "allergies", "disability", "diagnosis", "medical", "vaccination", "blood type", "blood group", "jiankang", "jiankangzhuangkuang", "bingshi", "guomin", "canji"},
	Biometric:     {"photo", "portrait", "avatar", "fingerprint", "face id", "face image", "zhaopian", "xiangpian", "zhiwen"},
	Religion:      {"religion", "religious", "faith", "zongjiao"},
	Ethnicity:     {"ethnicity", "ethnic", "ethnic group", "minzu"},
	Politics:      {"political status", "party member", "zhengzhimianmao"},
	Income:        {"family income", "household income", "poverty", "family economy", "jiatingshouru", "pinkun"},
	Name:          {"full name", "fullname", "real name", "realname", "student name", "teacher name", "parent name", "guardian name", "guardian", "father name", "mother name", "first name", "last name", "given name", "family name", "surname", "person name", "contact name", "xingming"},
	Phone:         {"phone", "mobile", "cellphone", "telephone", "tel", "phone number", "mobile number", "shouji", "shoujihao", "dianhua", "lianxidianhua"},
	Email:         {"email", "e mail", "mail address", "youxiang"},
	Address:       {"address", "home address", "residence", "domicile", "birthplace", "birth place", "dizhi", "zhuzhi", "jiatingzhuzhi"},
	Birth:         {"birthday", "birthdate", "birth date", "date of birth", "dob", "born", "chushengriqi"},
}

// hanzi are words of names and comments in Chinese.
var hanzi = map[Kind][]string{
	IDNumber:      {"身份证", "证件号", "身份号码", "护照号", "身份证明号"},
	StudentNumber: {"学籍号", "学籍辅号"},
	BankCard:      {"银行卡", "银行账号", "银行帐号", "卡号（银行）", "工资卡"},
	Health:        {"健康", "病史", "疾病", "过敏", "残疾", "诊断", "体检", "视力", "血型", "疫苗", "接种", "心理测评"},
	Biometric:     {"照片", "相片", "人脸", "指纹", "头像", "生物特征"},
	Religion:      {"宗教"},
	Ethnicity:     {"民族"},
	Politics:      {"政治面貌"},
	Income:        {"家庭收入", "家庭经济", "人均收入", "贫困", "低保", "建档立卡", "孤儿", "留守儿童", "困难学生"},
	Name:          {"姓名", "监护人", "曾用名", "联系人"},
	Phone:         {"手机", "电话", "联系方式", "移动号码"},
	Email:         {"邮箱", "电子信箱", "电子邮件"},
	Address:       {"住址", "家庭地址", "居住地", "现住", "户籍地址", "户口所在地", "通信地址", "通讯地址", "联系地址", "出生地"},
	Birth:         {"出生日期", "出生年月", "生日"},
}

// machines are words before "address" and "name" that make them no person's.
var machines = []string{"ip", "mac", "url", "web", "server", "host", "file", "email", "mail", "school", "class", "table", "column", "org"}

// words splits a name in lower case: at all that is no letter, and where a capital follows
// a small letter. Digits belong to no word, and hanzi are none.
func words(name string) (out []string) {
	var word strings.Builder
	flush := func() {
		if word.Len() > 0 {
			out = append(out, word.String())
			word.Reset()
		}
	}
	small := false
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z':
			word.WriteRune(r)
			small = true
			continue
		case r >= 'A' && r <= 'Z':
			if small {
				flush()
			}
			word.WriteRune(unicode.ToLower(r))
		default:
			flush()
		}
		small = false
	}
	flush()
	return out
}

// ofName gives the kind that a column's name means; empty for none.
func ofName(name string) Kind {
	split := words(name)
	for _, k := range Kinds {
		if short(split, initials[k]) || phrase(split, spelled[k]) || contains(name, hanzi[k]) {
			return k
		}
	}
	return ""
}

// ofComment gives the kinds that a comment speaks of. Only its first line is read, up to
// 100 letters: what follows explains codes.
func ofComment(comment string) (kinds []Kind) {
	line, _, _ := strings.Cut(comment, "\n")
	if runes := []rune(line); len(runes) > 100 {
		line = string(runes[:100])
	}
	split := words(line)
	for _, k := range Kinds {
		if phrase(split, spelled[k]) || contains(line, hanzi[k]) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// short looks for initials: as a word, or all of the name put together.
func short(split, known []string) bool {
	for i, w := range split {
		if slices.Contains(known, w) && (len(w) > 2 || i == len(split)-1) {
			return true
		}
	}
	return slices.Contains(known, strings.Join(split, ""))
}

// phrase looks for words that stand one after the other.
func phrase(split, known []string) bool {
	for _, p := range known {
		want := strings.Split(p, " ")
		for i := range split {
			if len(split)-i < len(want) || !slices.Equal(split[i:i+len(want)], want) {
				continue
			}
			if i == 0 || !slices.Contains(machines, split[i-1]) {
				return true
			}
		}
	}
	return false
}

func contains(text string, known []string) bool {
	return slices.ContainsFunc(known, func(w string) bool { return strings.Contains(text, w) })
}
