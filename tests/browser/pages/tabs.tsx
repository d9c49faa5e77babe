// One of several tabs that share a connection: it writes down every event that it is given.
import { connect } from 'tidings';

const query = new URLSearchParams(location.search);
const topic = String(query.get('topic'));
const page = window as unknown as { token: string | null };
page.token = query.get('token');
const live = connect({ auth: () => page.token, share: 'tabs' });
const heard: unknown[] = [];
const gaps: unknown[] = [];
Object.assign(window, { __tidings: live, heard, gaps });
live.subscribe(topic, (event) => heard.push(event.data.payload), {
  since: query.get('since'),
  onGap: (gap) => gaps.push(gap),
});
