package mysql

import "testing"

func TestParseCascade(t *testing.T) {
	for line, want := range map[string]struct {
		parent, onDelete, onUpdate string
		changes                    bool
	}{
		"  CONSTRAINT `a` FOREIGN KEY (`s`, `t`) REFERENCES `student` (`id`, `t`) ON DELETE CASCADE,": {"db.student", "CASCADE", "", true},
		"CONSTRAINT `a` FOREIGN KEY (`s`) REFERENCES `other`.`st``u` (`id`) ON UPDATE SET NULL":       {"other.st`u", "", "SET NULL", true},
		"CONSTRAINT `a` FOREIGN KEY (`s`) REFERENCES `x` (`id`) ON DELETE SET NULL ON UPDATE CASCADE": {"db.x", "SET NULL", "CASCADE", true},
		"CONSTRAINT `a` FOREIGN KEY (`s`) REFERENCES `x` (`id`)":                                      {"db.x", "", "", false},
		"CONSTRAINT `a` FOREIGN KEY (`s`) REFERENCES `x` (`id`) ON DELETE NO ACTION":                  {"db.x", "NO ACTION", "", false},
		"`s` int COMMENT 'CONSTRAINT `a` FOREIGN KEY (`s`) REFERENCES `x` (`id`) ON DELETE CASCADE'":  {".", "", "", false},
	} {
		c, changes := ParseCascade("db", "mark", line)
		if got := c.ParentDatabase + "." + c.Parent; changes != want.changes || got != want.parent || c.OnDelete != want.onDelete || c.OnUpdate != want.onUpdate {
			t.Errorf("%s: %+v, %t", line, c, changes)
		}
	}
}
