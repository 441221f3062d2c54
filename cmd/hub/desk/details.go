package desk

import (
	"regexp"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// detail is what one kind of line says.
type detail struct {
	english *regexp.Regexp
	chinese string
}

// details are the program's own words in lines of the audit by action, which are kept in English,
// and the same in Chinese. What people have written, names and numbers stay as they are.
var details = map[string][]detail{
	"request.create": {
		{regexp.MustCompile(`^letter of (\S+), `), "由 $1 的文件提交，"},
		{regexp.MustCompile(`request (\d+), authoritative, (\d+) tables?$`), "申请 $1，权威源，$2 张表"},
		{regexp.MustCompile(`request (\d+), check, (\d+) tables?$`), "申请 $1，校核源，$2 张表"},
	},
	"request.approved":  {decided},
	"request.partly":    {decided},
	"request.refused":   {decided},
	"agent.join":        {certified},
	"agent.renew":       {certified},
	"alarm.acknowledge": {{regexp.MustCompile(`^alarm (\d+)`), "告警 $1"}},
	"alarm.silence":     {{regexp.MustCompile(`^alarm (\d+) until (\d{4}-\d\d-\d\d \d\d:\d\d UTC)`), "告警 $1，静默至 $2"}},
	"org.import":        {{regexp.MustCompile(`^added (\d+), changed (\d+), same (\d+)$`), "新增 $1，变更 $2，未变 $3"}},
	"rights.take":       {{regexp.MustCompile(`^user (\S+) of the log$`), "日志用户 $1"}},
	"audit.export":      {{regexp.MustCompile(`^(\d+) lines?$`), "$1 行"}},
}

var (
	decided   = detail{regexp.MustCompile(`^request (\d+), (\d+) of (\d+) tables?`), "申请 $1，批准 $3 张表中的 $2 张"}
	certified = detail{regexp.MustCompile(`^certificate (\S+)$`), "证书 $1"}
)

// DetailOf gives the detail of a line of the audit in the reader's language, with its times in the
// hub's zone.
func (v *view) DetailOf(action, text string) string {
	if v.lang == language.Chinese {
		for _, d := range details[action] {
			text = d.english.ReplaceAllString(text, d.chinese)
		}
	}
	return v.Here(text)
}
