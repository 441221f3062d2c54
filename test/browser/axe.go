package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/tributary-cdc/tributary/deploy/local"
)

// runAxe asks for the rules of WCAG 2.2, levels A and AA, and what is good practice.
const runAxe = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"]}).then((result) => result.violations
	.filter((v) => v.impact === "serious" || v.impact === "critical")
	.flatMap((v) => v.nodes.map((n) => v.impact + " " + v.id + ": " + v.help + ": " + n.html.slice(0, 200) + " " + n.failureSummary.replaceAll("\n", " "))))`

func axe(t *testing.T) string {
	t.Helper()
	script, err := local.Axe.Fetch(t.Context(), func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}

// axeSays gives what axe finds serious or critical on the page as it is.
func (v *Tab) axeSays() (wrong []string) {
	v.t.Helper()
	v.Run(chromedp.Evaluate(v.axe+";undefined", nil, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithReturnByValue(false) }),
		chromedp.ActionFunc(func(ctx context.Context) error {
			result, problem, err := runtime.Evaluate(runAxe).WithAwaitPromise(true).WithReturnByValue(true).Do(ctx)
			if err != nil {
				return err
			}
			if problem != nil {
				return fmt.Errorf("axe: %w", problem)
			}
			return json.Unmarshal(result.Value, &wrong)
		}))
	return wrong
}
