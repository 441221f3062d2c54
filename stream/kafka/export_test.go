package kafka

// SetSequence moves a producer to a sequence number, before its first append.
func (p *Producer) SetSequence(n int32) { p.sequence = n }
