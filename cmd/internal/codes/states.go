package codes

import "github.com/tributary-cdc/tributary/cmd/internal/language"

// states are what programs say about sources, partitions and loads, in words.
var states = map[string][2]string{
	"": {"unknown", "未知"}, "applying": {"applying", "入库中"}, "canceled": {"canceled", "已取消"}, "failed": {"failed", "已失败"},
	"fenced": {"fenced", "已被接管"}, "gap": {"gap", "有缺口"}, "loaded": {"loaded", "已装载"}, "loading": {"loading", "装载中"},
	"paused": {"paused", "已暂停"}, "queued": {"queued", "排队中"}, "repairing": {"repairing a gap", "修复缺口中"}, "retrying": {"retrying", "重试中"}, "silent": {"silent", "失联"},
	"starting": {"starting", "启动中"}, "stopped": {"stopped", "已停止"}, "streaming": {"streaming", "采集中"},
	"unreachable": {"unreachable", "无法访问"}, "verifying": {"verifying", "核对中"}, "verified": {"verified", "已核对"},
	"running": {"running", "进行中"}, "equal": {"equal", "一致"}, "unequal": {"different", "不一致"}, "repaired": {"repaired", "已修复"}, "given_up": {"given up", "已放弃"},
	"unheard": {"never heard of", "从未上报"}, "late": {"late", "延迟"}, "partial": {"in part", "部分异常"}, "quarantine": {"rows in quarantine", "有隔离行"},
	"missing": {"tables missing", "缺表"}, "never": {"nothing yet", "尚无数据"}, "rereading": {"read again", "重读中"}, "halted": {"table halted", "有表停止"},
	"retired": {"retired", "已停止归集"}, "removed": {"removed", "已移除"}, "dropped": {"gone at the source", "源端已无此表"},
	"waiting": {"standing by", "待命"}, "warning": {"warning", "警告"},
}

// phases are those of loads that mean something else than the state of that name.
var phases = map[string][2]string{"waiting": {"waiting for the quiet hours", "等待静默时段"}}

// operations are how a row changed.
var operations = map[string][2]string{"c": {"insert", "新增"}, "u": {"update", "更新"}, "d": {"delete", "删除"}, "r": {"snapshot read", "快照读取"}}

// personalKinds are kinds of personal data, by schema/personal.
var personalKinds = map[string][2]string{
	"id_number": {"id number", "证件号码"}, "student_number": {"enrolment number", "学籍号"}, "bank_card": {"bank card", "银行卡号"}, "health": {"health", "健康信息"}, "biometric": {"photo or biometric data", "照片与生物特征"},
	"religion": {"religion", "宗教信仰"}, "ethnicity": {"ethnicity", "民族"}, "politics": {"political status", "政治面貌"}, "income": {"income of the family", "家庭经济"}, "name": {"name of a person", "姓名"},
	"phone": {"phone", "电话"}, "email": {"e-mail", "电子邮箱"}, "address": {"address", "住址"}, "birth": {"birth", "出生日期"},
}

// personalReasons are why a column is suspected to hold some.
var personalReasons = map[string][2]string{"name": {"by its name", "列名"}, "comment": {"by its comment", "注释"}, "form": {"by the form of values", "值的形式"}}

// PersonalKind gives a kind of personal data in words.
func PersonalKind(kind string, lang language.Language) string { return word(personalKinds, kind, lang) }

// PersonalReason says in words why a column is suspected to hold personal data.
func PersonalReason(reason string, lang language.Language) string {
	return word(personalReasons, reason, lang)
}

// States gives the words of all states in a language.
func States(lang language.Language) map[string]string { return words(states, lang) }

// Operations gives the words of all operations in a language.
func Operations(lang language.Language) map[string]string { return words(operations, lang) }

func words(of map[string][2]string, lang language.Language) map[string]string {
	out := map[string]string{}
	for name := range of {
		out[name] = word(of, name, lang)
	}
	return out
}

// State gives a state in words, as it is if this version doesn't know it.
func State(state string, lang language.Language) string { return word(states, state, lang) }

// Operation gives an operation in words, as it is if this version doesn't know it.
func Operation(op string, lang language.Language) string { return word(operations, op, lang) }

// Phase gives the phase of a load in words.
func Phase(phase string, lang language.Language) string {
	if phase == "waiting" { // which programs do for something else
		return word(phases, phase, lang)
	}
	return State(phase, lang)
}

func word(of map[string][2]string, name string, lang language.Language) string {
	w, ok := of[name]
	switch {
	case !ok:
		return name
	case lang == chinese:
		return w[1]
	}
	return w[0]
}
