import type { Member } from '../model.ts';
import { Bones } from '../ui/Bones.tsx';
import { TagMark } from '../ui/icons.tsx';
import { Trouble } from '../ui/Trouble.tsx';
import { Avatar } from './Avatar.tsx';
import { useFamilies } from './useFamilies.ts';

interface Props {
  /** Why nobody is signed in, where there is a reason. */
  notice: string | null;
  onChoose: (member: Member) => void;
  busy: boolean;
}

/** The demo asks for no password: pick who you are. */
export function SignIn({ notice, onChoose, busy }: Props) {
  const families = useFamilies();
  return (
    <main className="sign-in">
      <header className="sign-in-head">
        <TagMark />
        <h1>Who are you?</h1>
        <p className="muted">
          Pick somebody here, and somebody else in a second window. What one does, the other sees.
        </p>
      </header>
      {notice && (
        <p className="notice" role="alert">
          {notice}
        </p>
      )}
      {families.isPending && <Bones rows={3} label="Loading the families" />}
      {families.isError && <Trouble error={families.error} onRetry={() => families.refetch()} />}
      {families.data?.map((family) => (
        <section key={family.id} aria-labelledby={`family-${family.id}`}>
          <h2 className="overline" id={`family-${family.id}`}>
            {family.name}
          </h2>
          <ul className="people">
            {family.members.map((member) => (
              <li key={member.id}>
                <button
                  type="button"
                  className="person"
                  data-testid={`member-${member.id}`}
                  disabled={busy}
                  onClick={() => onChoose(member)}
                >
                  <Avatar member={member} size="l" />
                  <span>
                    <strong>{member.name}</strong>
                    <span className="muted">{member.role}</span>
                  </span>
                </button>
              </li>
            ))}
          </ul>
        </section>
      ))}
    </main>
  );
}
