package snapshot

import "slices"

// Missing names the tables of which the segments handed out so far don't hold everything,
// because they have stopped, were taken out, or a load of theirs hasn't come to its end; all says
// that it may be any table, since they aren't listed yet. A load that was cancelled doesn't end; one of a part
// leaves what was there. Of a table that was dropped there is no more, once the log says so. The reader itself
// can't be asked: it may be reading on meanwhile.
func (l *Loader) Missing() (tables []string, all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	missing, gone := map[string]bool{}, map[string]bool{}
	for _, t := range l.tasks {
		done := (t.Phase == Loaded || t.Phase == Unloaded) && !t.Out
		switch {
		case t.Check != nil && !t.Out:
		case t.Phase == Dropped:
			gone[t.Table] = !t.Since.IsZero()
			missing[t.Table] = !gone[t.Table]
		case t.Part == "" || t.Out:
			missing[t.Table] = !done
		case !done && t.Phase != Canceled:
			missing[t.Table] = true
		}
	}
	for table, is := range l.stopped {
		missing[table] = missing[table] || is && !gone[table]
	}
	for table, is := range missing {
		if is {
			tables = append(tables, table)
		}
	}
	slices.Sort(tables)
	return tables, !l.listed
}
