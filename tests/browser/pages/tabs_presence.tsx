// One of several tabs that share a connection: who is on the topic, as this tab sees it.
import { connect } from 'tidings';
import { presence } from 'tidings/presence';

const query = new URLSearchParams(location.search);
const live = connect({ auth: () => query.get('token'), share: 'tabs' });
const here = presence(live, String(query.get('topic')), { state: { tab: query.get('tab') } });
Object.assign(window, { __tidings: live, here });
