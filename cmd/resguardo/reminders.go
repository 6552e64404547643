package main

import (
	"slices"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/publiclog"
)

// Days after the report at which list reminds: an acknowledgement is due within 7
// days, an answer within 90 (Directive (EU) 2019/1937, articles 9 and 11), whatever
// the pages of the vault promise.
const (
	ackSoon, ackDue     = 5, 7
	replySoon, replyDue = 80, 90
	noticeDays          = 14 // before the vault deletes a case
)

// more is what list says about a case behind its state, in the order of urgency.
func (c *listed) more(now time.Time) []say.Text {
	var words []say.Text
	add := func(when bool, t say.Text) {
		if when {
			words = append(words, t)
		}
	}
	add(c.Gone, say.T("no longer in the vault"))
	add(c.Log == string(publiclog.Replaced), say.T("the log says something ELSE"))
	add(c.Log == string(publiclog.Missing), say.T("NOT in the log"))
	add(c.Log == string(publiclog.Waiting), say.T("waits for the log"))
	add(c.Pending != "", say.T("a deletion waits for a second signature"))
	words = append(words, c.reminders(now)...)
	add(c.Hold, say.T("on hold"))
	add(c.Closed, say.T("closed"))
	add(c.Status != "", say.T("status: %s", c.Status))
	add(c.Assigned != "", say.T("assigned: %s", c.Assigned))
	return words
}

// reminders are the deadlines that are near or past.
func (c *listed) reminders(now time.Time) []say.Text {
	var words []say.Text
	age, ok := daysBetween(c.Day, now)
	answered := slices.Contains(c.Kinds, "reply")
	heard := answered || slices.Contains(c.Kinds, "ack")
	switch {
	case !ok || c.Closed || c.Gone:
	case !heard && age >= ackDue:
		words = append(words, say.T("ACKNOWLEDGE: day %s of %s", age, ackDue))
	case !heard && age >= ackSoon:
		words = append(words, say.T("acknowledge soon: day %s of %s", age, ackDue))
	}
	switch {
	case !ok || c.Closed || c.Gone || answered:
	case age >= replyDue:
		words = append(words, say.T("ANSWER: day %s of %s", age, replyDue))
	case age >= replySoon:
		words = append(words, say.T("answer soon: day %s of %s", age, replyDue))
	}
	if left, ok := daysBetween(c.Ends, now); ok && !c.Gone && -left <= noticeDays {
		words = append(words, say.T("the vault deletes it on %s", c.Ends))
	}
	return words
}

// daysBetween is how many days lie between a day and today, UTC.
func daysBetween(day string, now time.Time) (int, bool) {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return 0, false
	}
	return int(now.UTC().Truncate(24*time.Hour).Sub(t) / (24 * time.Hour)), true
}
