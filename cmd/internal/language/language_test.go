package language

import "testing"

func TestAccepted(t *testing.T) {
	for header, want := range map[string]Language{
		"": Chinese, "*": Chinese, "fr-FR, de;q=0.9": Chinese, "en": English, "en-GB,en;q=0.8,zh;q=0.5": English,
		"zh-TW, en;q=0.9": Chinese, "en;q=0.4, zh-CN;q=0.6": Chinese, "fr, en;q=0.1": English, "en;q=0": Chinese, "en;q=x, zh": Chinese, "english": Chinese,
	} {
		if got := Accepted(header, Chinese); got != want {
			t.Errorf("Accepted(%q) = %s", header, got.Tag())
		}
	}
}

func TestOf(t *testing.T) {
	for tag, want := range map[string]string{"zh_CN.UTF-8": "zh-CN", "zh": "zh-CN", "ZH-cn": "zh-CN", "en_US.UTF-8": "en", "": "en", "C": "en"} {
		if got := Of(tag).Tag(); got != want {
			t.Errorf("Of(%q) is %s", tag, got)
		}
	}
}
