package personal

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxValue is how much of a value is looked at, in bytes.
const MaxValue = 1024

// forms are those that values can show.
var forms = map[Kind]func(string) bool{
	IDNumber: hasIDNumber, StudentNumber: isStudentNumber, BankCard: isBankCard, Health: hasHealth, Name: isName, Phone: hasPhone, Email: hasEmail, Address: hasAddress,
}

// ofForm counts the values that have each form.
func ofForm(values []string) map[Kind]count {
	out := map[Kind]count{}
	seen := map[Kind]map[string]bool{}
	of := 0
	for _, v := range values {
		v = strings.TrimSpace(v[:min(len(v), MaxValue)])
		if v == "" {
			continue
		}
		of++
		for k, is := range forms {
			if !is(v) {
				continue
			}
			if seen[k] == nil {
				seen[k] = map[string]bool{}
			}
			seen[k][v] = true
			c := out[k]
			c.has, c.distinct = c.has+1, len(seen[k])
			out[k] = c
		}
	}
	for k := range forms {
		c := out[k]
		c.of = of
		out[k] = c
	}
	return out
}

// weights and checks are those of ISO 7064 MOD 11-2 in GB 11643.
var (
	weights = [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	checks  = "10X98765432"
)

// isIDNumber reports whether s is a citizen's id number by GB 11643-1999: 18 characters
// with a day that exists and the right check character.
func isIDNumber(s string) bool {
	if len(s) != 18 || s[0] == '0' {
		return false
	}
	sum := 0
	for i, w := range weights {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		sum += w * int(s[i]-'0')
	}
	born, err := time.Parse("20060102", s[6:14])
	return err == nil && born.Year() >= 1880 && born.Year() < 2100 && checks[sum%11] == upper(s[17])
}

func upper(c byte) byte {
	if c == 'x' {
		return 'X'
	}
	return c
}

// runs gives the parts of a text that are ASCII digits, each with an X that follows.
func runs(s string) (out []string) {
	for i := 0; i < len(s); {
		if s[i] < '0' || s[i] > '9' {
			i++
			continue
		}
		j := i
		for j < len(s) && s[j] >= '0' && s[j] <= '9' {
			j++
		}
		if j < len(s) && upper(s[j]) == 'X' {
			j++
		}
		out = append(out, s[i:j])
		i = j
	}
	return out
}

func hasIDNumber(s string) bool { return slices.ContainsFunc(runs(s), isIDNumber) }

// isStudentNumber: G and an id number, J and 17 digits with a check, or L and 18 digits.
func isStudentNumber(s string) bool {
	if len(s) != 19 {
		return false
	}
	switch rest := s[1:]; s[0] {
	case 'G', 'g':
		return isIDNumber(rest)
	case 'J', 'j', 'L', 'l':
		return len(strings.Trim(rest[:17], "0123456789")) == 0 && strings.IndexByte("0123456789X", upper(rest[17])) >= 0
	}
	return false
}

// hasPhone looks for a mobile number of the mainland, with or without +86, its groups
// apart or not.
func hasPhone(s string) bool {
	together := strings.NewReplacer("-", "", " ", "").Replace(s)
	return slices.ContainsFunc(append(runs(s), runs(together)...), func(d string) bool {
		if len(d) == 13 {
			d = strings.TrimPrefix(d, "86")
		}
		return len(d) == 11 && d[0] == '1' && d[1] >= '3' && d[10] <= '9'
	})
}

// hasEmail looks for an address of electronic mail.
func hasEmail(s string) bool {
	for i := strings.IndexByte(s, '@'); i > 0; {
		before, domain := s[i-1], s[i+1:]
		if n := strings.IndexFunc(domain, func(r rune) bool {
			return (r > 'z' || r < 'a') && (r > 'Z' || r < 'A') && (r > '9' || r < '0') && r != '-' && r != '.'
		}); n >= 0 {
			domain = domain[:n]
		}
		domain = strings.Trim(domain, ".")
		if dot := strings.LastIndexByte(domain, '.'); dot > 0 && len(domain)-dot > 2 && before < utf8.RuneSelf && (unicode.IsLetter(rune(before)) || unicode.IsDigit(rune(before)) || before == '_') {
			return true
		}
		next := strings.IndexByte(s[i+1:], '@')
		if next < 0 {
			return false
		}
		i += 1 + next
	}
	return false
}

// isBankCard: 16 to 19 digits of a known network whose check digit is right (Luhn), and no
// citizen's id number.
func isBankCard(s string) bool {
	s = strings.NewReplacer(" ", "", "-", "").Replace(s)
	if len(s) < 16 || len(s) > 19 || isIDNumber(s) || !strings.HasPrefix(s, "62") && s[0] != '4' && (s[0] != '5' || s[1] < '1' || s[1] > '5') {
		return false
	}
	sum := 0
	for i := range len(s) {
		c := s[len(s)-1-i]
		if c < '0' || c > '9' {
			return false
		}
		d := int(c - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// surnames are those of nearly all of the population; surnames2 have two characters.
var (
	surnames = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾萧肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付傅方白邹孟熊秦邱江尹薛闫阎段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤" +
		"常温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝"
	surnames2  = []string{"欧阳", "上官", "司马", "诸葛", "皇甫", "司徒", "尉迟", "公孙", "慕容", "令狐", "夏侯", "东方", "端木", "南宫", "百里", "呼延", "长孙", "宇文", "轩辕"}
	notPersons = "省市区县镇乡村街路校班级系院部局处科室组所站中心学族语文数史地生物理化课年月日队团会社厂店国州旗岁类型型员师长任"
)

// isName reports whether s looks like a person's name in Chinese: a surname and one or two
// characters more, or the parts of a minority's name with dots between them.
func isName(s string) bool {
	if dots := strings.Count(s, "·") + strings.Count(s, "•"); dots > 0 {
		s = strings.NewReplacer("·", "", "•", "").Replace(s)
		n := utf8.RuneCountInString(s)
		return dots <= 3 && n >= 4 && n <= 20 && isHan(s)
	}
	runes := []rune(s)
	if n := len(runes); n < 2 || n > 4 || !isHan(s) || strings.ContainsRune(notPersons, runes[n-1]) {
		return false
	}
	if slices.Contains(surnames2, string(runes[:2])) {
		return len(runes) > 2
	}
	if !strings.ContainsRune(surnames, runes[0]) {
		return false
	}
	return len(runes) < 4 || strings.ContainsRune(surnames, runes[1]) // those of both parents
}

func isHan(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.Is(unicode.Han, r) })
}

// sick are words of diagnoses, allergies and disabilities.
var sick = []string{"哮喘", "癫痫", "糖尿病", "心脏病", "高血压", "白血病", "肿瘤", "癌", "抑郁", "焦虑症", "自闭", "孤独症", "多动症", "肺结核", "乙肝", "艾滋", "过敏", "残疾", "脑瘫", "智力障碍", "听力障碍", "视力障碍", "肢体障碍", "精神障碍",
	"近视", "贫血", "肾炎", "肝炎", "癔症", "手术史", "住院", "确诊", "阳性", "先天性", "体弱", "疾病", "患有", "asthma", "epilepsy", "diabetes", "allerg", "disab", "depress", "autis", "tubercul", "hepatitis"}

func hasHealth(s string) bool {
	return contains(strings.ToLower(s), sick)
}

var (
	areas = []string{"省", "市", "区", "县", "镇", "乡", "州", "旗"}
	roads = []string{"路", "街", "巷", "弄", "村", "号", "栋", "幢", "单元", "室", "小区", "花园", "组", "屯", "社区"}
)

// hasAddress: an area and, behind it, a place within it, with a number.
func hasAddress(s string) bool {
	if utf8.RuneCountInString(s) < 6 || !strings.ContainsFunc(s, unicode.IsDigit) && !strings.ContainsAny(s, "一二三四五六七八九十") {
		return false
	}
	for _, a := range areas {
		if at := strings.Index(s, a); at > 0 && contains(s[at+len(a):], roads) {
			return true
		}
	}
	return false
}
