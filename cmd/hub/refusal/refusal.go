// Package refusal is the error by which the hub says no to a person or an agent: a
// stable code, and what it is about. The words stand in package codes.
package refusal

import (
	"fmt"

	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/schema/catalog"
)

// Kind is what a refusal means to whoever asked.
type Kind int

// The kinds.
const (
	Invalid  Kind = iota // what was asked for can't be
	Unknown              // there is no such thing, or none that the asker may see
	Conflict             // it can't be now, or any more
	Login                // nobody is logged in
	Denied               // whoever is logged in may not
	Later                // too often, or something is away
)

// Refusal is the error.
type Refusal struct {
	Kind Kind
	Code string
	// Detail says what it is about, by names and numbers that need no language. It holds
	// no secret.
	Detail string
	// Problems are those of a file of orgs.
	Problems []catalog.Problem
	// Err is what lies behind it; nil for nothing.
	Err error
}

// Error gives code and detail.
func (r *Refusal) Error() string {
	text := "[" + r.Code + "]"
	if r.Detail != "" {
		text += " " + r.Detail
	}
	for _, p := range r.Problems {
		text += fmt.Sprintf("; line %d: %s %s", p.Line, p.Fault, p.Value)
	}
	if r.Err != nil {
		text += ": " + r.Err.Error()
	}
	return text
}

// Unwrap gives what lies behind it.
func (r *Refusal) Unwrap() error { return r.Err }

// New makes one.
func New(kind Kind, code, detail string, args ...any) *Refusal {
	return &Refusal{Kind: kind, Code: code, Detail: fmt.Sprintf(detail, args...)}
}

// maxProblems bounds those that are told at once.
const maxProblems = 20

// In gives what is wrong and what to do about it, in a language.
func (r *Refusal) In(lang language.Language) (what, do string) {
	what, do = codes.Explain(r.Code, lang)
	if r.Detail != "" {
		if lang == language.Chinese {
			what += "：" + r.Detail
		} else {
			what += ": " + r.Detail
		}
	}
	return what, do
}

// Lines gives the problems of a file of orgs, in a language.
func (r *Refusal) Lines(lang language.Language) (lines []string) {
	for i, p := range r.Problems {
		if i == maxProblems {
			return append(lines, fmt.Sprintf(more[lang], len(r.Problems)-i))
		}
		text := fmt.Sprintf(faults[p.Fault][lang], p.Value)
		if p.Other > 0 {
			text += fmt.Sprintf(alsoAt[lang], p.Other)
		}
		if p.Line > 0 {
			text = fmt.Sprintf(atLine[lang], p.Line) + text
		}
		lines = append(lines, text)
	}
	return lines
}

// texts is a format in each language.
type texts map[language.Language]string

func of(english, chinese string) texts {
	return texts{language.English: english, language.Chinese: chinese}
}

var (
	more   = of("and %d more", "另有 %d 处")
	atLine = of("line %d: ", "第 %d 行：")
	alsoAt = of(" (line %d)", "（第 %d 行）")
	faults = map[catalog.Fault]texts{
		catalog.FaultCode:      of("%q isn't a code: 1 to 64 letters, digits, - and _", "%q 不是代码：应为 1 至 64 个字母、数字、- 和 _"),
		catalog.FaultName:      of("%q isn't a name: 1 to 120 characters, none of them invisible", "%q 不是名称：应为 1 至 120 个字符，且不含不可见字符"),
		catalog.FaultKind:      of("%q isn't a kind: province, city, district, zone or school", "%q 不是类型：应为 省、市、区县、功能区 或 学校"),
		catalog.FaultNoCode:    of("%q has no code; only a zone below another org may do without", "%q 没有代码；只有上级已指明的功能区可以没有代码"),
		catalog.FaultTwice:     of("%q stands twice", "%q 重复出现"),
		catalog.FaultParent:    of("there is no org %q to be the parent", "没有机构 %q 可作为上级"),
		catalog.FaultAmbiguous: of("several zones are called %q: give them codes", "有多个功能区名为 %q：请为它们指定代码"),
		catalog.FaultCycle:     of("the org would stand above itself, by way of %q", "机构经由 %q 成为自己的上级，形成循环"),
		catalog.FaultRank:      of("the parent's kind doesn't fit: %q", "上级的类型不符：%q"),
		catalog.FaultRoot:      of("a second org without a parent; the first is %q", "第二个没有上级的机构；第一个是 %q"),
		catalog.FaultColumns:   of("%q doesn't fit: the columns are code, parent, name, kind", "%q 不符：各列应为 代码,上级,名称,类型"),
		catalog.FaultSyntax:    of("can't be read: %s", "无法读取：%s"),
		catalog.FaultGBK:       of("the file is written in GBK; save it as UTF-8 (Excel: CSV UTF-8; or iconv -f GBK -t UTF-8)%s", "文件为 GBK 编码，请另存为 UTF-8（Excel：CSV UTF-8；或 iconv -f GBK -t UTF-8）%s"),
		catalog.FaultEncoding:  of("the file isn't UTF-8 text%s", "文件不是 UTF-8 文本%s"),
		catalog.FaultEmpty:     of("there is no org in the file%s", "文件中没有机构%s"),
		catalog.FaultSize:      of("there are more than 100000 orgs%s", "机构超过 100000 个%s"),
	}
)
